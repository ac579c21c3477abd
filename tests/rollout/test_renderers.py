"""One description of a split, written for two kinds of gateway; and what a kind can't say is refused."""

from typing import Any

import pytest
import re2

from serinus.rollout.buckets import ALONE, Lane, lanes
from serinus.rollout.patterns import PatternError
from serinus.rollout.renderers import Arm, Traffic, UnexpressibleError, http_route, nginx, whole
from serinus.rollout.routing import Match, Split, match
from serinus.rollout.share import PREFIX

BUCKET = Split.model_validate({"by": "bucket", "gateway": "g", "gatewaySources": ["10.0.0.0/24"], "image": "i"})
STABLE: dict[str, Any] = {"name": "chat-v1", "port": 80}
CANARY: dict[str, Any] = {"name": "chat-v2", "port": 80}


def traffic(*arms: Match) -> Traffic:
    names = [f"chat-v{number}" for number in range(2, 2 + len(arms))]
    return Traffic("chat", "serinus", "chat.example.com", "chat-v1", tuple(map(Arm, names, arms)))


def by(header: str, value: str, kind: str = "RegularExpression", to: str = "chat-v2") -> dict[str, Any]:
    matches = [{"headers": [{"type": kind, "name": header, "value": value}]}]
    return {"matches": matches, "backendRefs": [{"name": to, "port": 80}]}


REST = {"backendRefs": [STABLE]}
GOLDEN = {
    "weight": (
        match(Split(), 5),
        {"canary": "true", "canary-weight": "5"},
        [{"backendRefs": [{**STABLE, "weight": 95}, {**CANARY, "weight": 5}]}],
    ),
    "weight with testers": (
        match(Split(tester_word="let-me-in"), 5),
        {
            "canary": "true",
            "canary-weight": "5",
            "canary-by-header": "X-Serinus-Tester",
            "canary-by-header-pattern": "^let-me-in$",
        },
        [
            by("X-Serinus-Tester", "let-me-in", "Exact"),
            {"backendRefs": [{**STABLE, "weight": 95}, {**CANARY, "weight": 5}]},
        ],
    ),
    "tail": (
        match(Split(by="tail"), 5),
        {
            "canary": "true",
            "canary-weight": "0",
            "canary-by-header": "X-User-Id",
            "canary-by-header-pattern": "0[0-4]$",
        },
        [by("X-User-Id", "^.*(?:0[0-4]$).*$"), REST],
    ),
    "cookie": (
        match(Split(by="cookie", cookie="uid"), 20),
        {
            "canary": "true",
            "canary-weight": "0",
            "canary-by-header": "Cookie",
            "canary-by-header-pattern": r"(^|;\s*)uid=[^;]*[01][0-9](;|$)",
        },
        [by("Cookie", r"^.*(?:(^|;\s*)uid=[^;]*[01][0-9](;|$)).*$"), REST],
    ),
    "bucket": (
        match(BUCKET, 50),
        {
            "canary": "true",
            "canary-weight": "0",
            "canary-by-header": "X-User-Bucket",
            "canary-by-header-pattern": "^[0-4][0-9]$",
        },
        [by("X-User-Bucket", "^[0-4][0-9]$"), REST],
    ),
    "nobody": (
        match(BUCKET, 0),
        {
            "canary": "true",
            "canary-weight": "0",
            "canary-by-header": "X-User-Bucket",
            "canary-by-header-pattern": "a^",
        },
        [REST],
    ),
    "everybody": (
        match(Split(), 100),
        {"canary": "true", "canary-weight": "100"},
        [{"backendRefs": [{**STABLE, "weight": 0}, {**CANARY, "weight": 100}]}],
    ),
}


@pytest.mark.parametrize(("told", "annotations", "rules"), GOLDEN.values(), ids=GOLDEN)
def test_one_description_is_written_for_both_kinds_of_gateway(
    told: Match, annotations: dict[str, str], rules: list[dict[str, Any]]
) -> None:
    assert nginx(traffic(told)) == {f"{PREFIX}/{key}": value for key, value in annotations.items()}
    assert http_route(traffic(told), "infra/web", behind_proxy=True) == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "chat", "namespace": "serinus"},
        "spec": {
            "parentRefs": [{"name": "web", "namespace": "infra"}],
            "hostnames": ["chat.example.com"],
            "rules": rules,
        },
    }


def test_without_a_canary_all_users_are_on_the_stable_release() -> None:
    assert nginx(traffic()) == {}
    spec = http_route(traffic(), "web")["spec"]
    assert (spec["parentRefs"], spec["rules"]) == ([{"name": "web"}], [REST])


def test_several_canaries_have_buckets_of_their_own_and_none_moves_another() -> None:
    own = lanes({"v2": 50, "v3": 30})
    small, grown = (
        http_route(
            traffic(match(BUCKET, 5, lane=own["v2"]), match(BUCKET, share, lane=own["v3"])), "web", behind_proxy=True
        )["spec"]["rules"]
        for share in (5, 30)
    )
    assert small == [by("X-User-Bucket", "^0[0-4]$"), by("X-User-Bucket", "^5[0-4]$", to="chat-v3"), REST]
    assert [one for one in grown if one not in small] == [by("X-User-Bucket", "^[5-7][0-9]$", to="chat-v3")]


def test_several_weights_leave_the_rest_to_the_stable_release() -> None:
    (rest,) = http_route(traffic(Match(5), Match(20)), "web")["spec"]["rules"]
    assert [one["weight"] for one in rest["backendRefs"]] == [75, 5, 20]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([match(BUCKET, 5)], "can't ask the bucketer before it routes"),
        ([Match(60), Match(50)], "add up to more than 100"),
        ([match(Split(by="tail"), 5)] * 2, "several canaries need by: bucket"),
        ([match(Split(tester_word="let-me-in"), 5), Match(5)], "several canaries need by: bucket"),
    ],
)
def test_what_an_http_route_cannot_say_is_refused(told: list[Match], why: str) -> None:
    with pytest.raises(UnexpressibleError, match=why):
        http_route(traffic(*told), "web")


def test_canaries_that_share_buckets_are_refused() -> None:
    with pytest.raises(UnexpressibleError, match="chat-v3 shares buckets with another canary"):
        http_route(traffic(match(BUCKET, 20), match(BUCKET, 5)), "web", behind_proxy=True)


def test_several_canaries_on_annotations_are_refused_with_the_reason() -> None:
    with pytest.raises(UnexpressibleError, match="give a host one canary, and these are 2"):
        nginx(traffic(Match(5), Match(5)))


@pytest.mark.parametrize(
    ("told", "share", "lane", "why"),
    [
        (Split(by="tail"), 5, Lane(50, 50), "by: tail has no lanes"),
        (BUCKET, 51, Lane(50, 50), "51 % does not fit into a lane of 50 %"),
        (Split(), 101, ALONE, "101 % does not fit into a lane of 100 %"),
    ],
)
def test_a_share_that_its_lane_cannot_hold_is_refused(told: Split, share: int, lane: Lane, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        match(told, share, lane=lane)


@pytest.mark.parametrize("share", [5, 20, 37, 50, 100])
@pytest.mark.parametrize(
    ("told", "value"),
    [
        (Split(by="tail"), "user-{:02d}"),
        (Split(by="tail", base=16), "9f3c-{:02X}"),
        (Split(by="cookie", cookie="uid"), "theme=00; uid=x{:02d}; lang=00"),
        (Split(by="cookie", cookie="uid"), "uid={:02d}"),
        (BUCKET, "{:02d}"),
    ],
)
def test_gateways_that_match_the_whole_value_take_whom_those_take_that_search_in_it(
    told: Split, value: str, share: int
) -> None:
    try:
        pattern = match(told, share).pattern
    except PatternError:
        assert told.base == 16  # not every percent is a number of 256 tails
        return
    searching, wholly = re2.compile(pattern), re2.compile(whole(pattern))
    for number in range(100):
        seen = value.format(number)
        assert bool(searching.search(seen)) == bool(wholly.search(seen)) == bool(wholly.fullmatch(seen)), seen
