"""Every way to split users, as a gateway must match it; and what can't be combined, with the reason."""

from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serinus.rollout.complaints import complaints
from serinus.rollout.cut import cut_of
from serinus.rollout.patterns import NOBODY
from serinus.rollout.routing import Match, Split, inner_host, match
from serinus.rollout.share import COOKIE, HEADER, HEADER_VALUE, PATTERN, WEIGHT, share

BUCKET: dict[str, Any] = {
    "by": "bucket",
    "gateway": "gateway.example",
    "gatewaySources": ["10.0.3.0/24"],
    "image": "bucketer@sha256:00",
}
# One of each way that the documentation shows.
WAYS: dict[str, dict[str, Any]] = {
    "weight": {"by": "weight"},
    "weight and testers": {"by": "weight", "testerWord": "let-me-in"},
    "tail": {"by": "tail", "header": "X-Account"},
    "tail in hex": {"by": "tail", "base": 16},
    "tail and tag": {"by": "tail", "only": {"values": ["VIP"]}},
    "cookie": {"by": "cookie", "cookie": "uid"},
    "bucket": BUCKET,
    "bucket and tag": BUCKET | {"only": {"header": "X-Region", "values": ["eu", "uk"]}},
    "bucket and testers": BUCKET | {"testerWord": "let-me-in"},
}


def split(document: dict[str, Any]) -> Split:
    return Split.model_validate(document)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("weight", Match(5)),
        ("weight and testers", Match(5, "X-Serinus-Tester", "^let-me-in$")),
        ("tail", Match(0, "X-Account", "0[0-4]$")),
        ("tail in hex", Match(0, "X-User-Id", "(?i:0[0-9a-c])$")),
        ("tail and tag", Match(0, "X-User-Id", "0[0-4]_VIP$")),
        ("cookie", Match(0, "Cookie", r"(^|;\s*)uid=[^;]*0[0-4](;|$)")),
        ("bucket", Match(0, "X-User-Bucket", "^0[0-4]$")),
        ("bucket and tag", Match(0, "X-User-Bucket", "^0[0-4]_(eu|uk)$")),
        ("bucket and testers", Match(0, "X-User-Bucket", "^tester$|^0[0-4]$")),
    ],
)
def test_a_share_of_5_percent(way: str, expected: Match) -> None:
    assert match(split(WAYS[way]), 5) == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("weight", [0, 5, 20, 50, 100])
def test_the_guard_counts_the_share_that_was_declared(way: str, weight: int) -> None:
    assert share(match(split(WAYS[way]), weight).annotations()) == weight


@pytest.mark.parametrize("way", WAYS)
def test_a_cut_is_what_the_stack_renders_for_weight_0(way: str) -> None:
    live, rest = (match(split(WAYS[way]), weight).annotations() for weight in (50, 0))
    assert live | cut_of(live) == rest
    assert rest.get(PATTERN, NOBODY) == NOBODY


@pytest.mark.parametrize("way", WAYS)
def test_a_step_changes_one_annotation(way: str) -> None:
    before, after = (match(split(WAYS[way]), weight).annotations() for weight in (5, 20))
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert changed == {WEIGHT if way.startswith("weight") else PATTERN}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_open_to_whoever_knows_a_header_or_a_cookie(way: str) -> None:
    annotations = match(split(WAYS[way]), 5).annotations()
    assert not {HEADER_VALUE, COOKIE} & set(annotations)
    assert (HEADER in annotations) == (PATTERN in annotations)
    assert PATTERN not in annotations or re2.compile(annotations[PATTERN])


def test_testers_known_by_their_ids_come_by_the_bucketers_label() -> None:
    assert match(split(BUCKET), 5, testers=True).pattern == "^tester$|^0[0-4]$"
    assert match(split(BUCKET), 0, testers=True).pattern == NOBODY


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"by": "dice"}, "by: 'dice' is not allowed"),
        (
            {"by": "weight", "header": "X-Account"},
            "header has no use with by: weight; it is read with by: bucket and by: tail",
        ),
        ({"by": "weight", "only": {"values": ["VIP"]}}, "a gateway that counts requests knows no users"),
        (
            {"by": "tail", "testerWord": "let-me-in"},
            "the gateway matches one header, and that is the id's. Use by: bucket",
        ),
        ({"by": "cookie", "cookie": "uid", "testerWord": "let-me-in"}, "testerWord has no use with by: cookie"),
        ({"by": "cookie"}, "by: cookie needs cookie"),
        ({"by": "bucket"}, "by: bucket needs gateway and gatewaySources and image"),
        ({"by": "tail", "header": "Cookie"}, "'Cookie' holds no user's id"),
        ({"by": "tail", "header": "x-user-bucket"}, "holds no user's id"),
        ({"by": "tail", "header": "X-Id; drop"}, "a header's name"),
        ({"by": "tail", "digits": 3}, "how many digits of the id count, 1 or 2"),
        ({"by": "tail", "only": {"header": "X-Tag", "values": ["VIP"]}}, "the tag follows the id in it"),
        ({"by": "tail", "only": {"values": ["V|P"]}}, "only.values.0: 'V|P' is not allowed"),
        (BUCKET | {"conversations": "keep"}, "conversations: keep needs conversation, the header"),
        (BUCKET | {"keepMinutes": 5}, "keepMinutes has no use without conversations: keep"),
        ({"by": "tail", "conversations": "keep"}, "conversations has no use with by: tail"),
        (BUCKET | {"gatewaySources": ["10.0.3.1/24"]}, "has host bits set"),
        (BUCKET | {"gateway": "http://gateway"}, "under which the gateway reaches itself"),
        (BUCKET | {"testerWord": "1234"}, "beginning with a letter"),
        ({"by": "weight", "colour": "blue"}, "unknown key"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(document: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        split(document)
    assert told in " ".join(complaints(Split, refused.value))


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_growing_share_moves_nobody_back(one: int, other: int) -> None:
    less, more = (re2.compile(match(split(BUCKET), weight).pattern) for weight in sorted((one, other)))
    for bucket in range(100):
        assert not less.search(f"{bucket:02d}") or more.search(f"{bucket:02d}")


def test_inner_hosts_of_two_services_differ() -> None:
    assert inner_host("chat", "prod") == "chat.prod.serinus.internal" != inner_host("chat", "dev")
