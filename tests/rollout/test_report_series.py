"""From what Prometheus answers, whatever that is, to spans of time; nothing seen is never nothing failed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.report import Arm
from serinus.rollout.report_series import Place, queries, spans, step_of
from tests.rollout.recordings import START

PLACE = Place("serinus", "chat", "v2-0123abcd", "v1-89abcdef")
REQUESTS, ERRORS, BUCKETS = ((arm, part) for arm, part in (("canary", p) for p in ("requests", "errors", "buckets")))


def answer(*points: tuple[float, str], **labels: str) -> list[dict[str, object]]:
    return [{"metric": labels, "values": [list(point) for point in points]}]


@pytest.mark.parametrize(("minutes", "step"), [(1, 15), (60, 15), (120, 30), (24 * 60, 360), (30 * 24 * 60, 10_800)])
def test_a_step_is_a_multiple_of_the_scrapes_and_a_rollout_has_some_hundred(minutes: int, step: int) -> None:
    assert step_of(START, START + timedelta(minutes=minutes)) == step


def test_a_step_of_no_time_is_the_least() -> None:
    assert step_of(START, START) == 15


def test_every_part_of_both_arms_is_asked_for_by_its_own_names() -> None:
    found = queries(PLACE, 15)
    assert set(found) == {
        (arm, part)
        for arm in ("canary", "stable")
        for part in ("requests", "errors", "buckets", "input_tokens", "output_tokens")
    }
    assert 'service=~"serinus-chat-stable-chat-.+-http-canary@kubernetesingressnginx"' in found[REQUESTS]
    assert 'service=~"serinus-chat-stable-chat-.+-http@kubernetesingressnginx"' in found["stable", "requests"]
    assert 'release="v1-89abcdef"' in found["stable", "input_tokens"]


def test_without_a_stable_release_its_tokens_are_not_asked_for() -> None:
    assert ("stable", "input_tokens") not in queries(PLACE._replace(stable=""), 15)


@pytest.mark.parametrize("name", ['v2"} or up{a="', "v2\\", "a b", "ü"])
def test_a_name_that_could_leave_its_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of"):
        queries(PLACE._replace(canary=name), 15)


def test_answers_become_spans_in_the_order_of_time() -> None:
    found = spans(
        {
            REQUESTS: answer((130.0, "20"), (115.0, "10")),
            ERRORS: answer((115.0, "1"), (130.0, "2")),
            BUCKETS: [*answer((115.0, "4"), le="0.5"), *answer((115.0, "10"), le="+Inf")],
            ("stable", "requests"): answer((130.0, "80")),
            ("stable", "errors"): answer((130.0, "0")),
        }
    )
    assert [span.at.timestamp() for span in found] == [115.0, 130.0]
    assert found[0].canary == Arm(requests=10, errors=1, buckets={"0.5": 4, "+Inf": 10})
    assert (found[1].canary.errors, found[1].stable.requests) == (2, 80)


def test_requests_without_a_word_on_failures_were_not_seen() -> None:
    (found,) = spans({REQUESTS: answer((115.0, "10"))})
    assert found.canary == Arm()


def test_failures_that_are_ahead_of_their_requests_are_bounded_by_them() -> None:
    (found,) = spans({REQUESTS: answer((115.0, "3")), ERRORS: answer((115.0, "4"))})
    assert found.canary.errors == 3


@pytest.mark.parametrize("bad", ["NaN", "+Inf", "-1", "many", None, [], {}])
def test_a_number_that_is_none_is_left_out(bad: object) -> None:
    garbled = [{"metric": {}, "values": [[115.0, bad], [130.0, "5"]]}]
    (found,) = spans({REQUESTS: garbled, ERRORS: answer((130.0, "1"))})
    assert (found.at.timestamp(), found.canary.requests) == (130.0, 5)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["values", "metric", "le", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["values", "metric", "le"]), inner),
    max_leaves=12,
)


@given(anything, anything, anything)
def test_whatever_is_answered_becomes_spans_or_nothing(one: object, other: object, third: object) -> None:
    for span in spans({REQUESTS: one, ERRORS: other, BUCKETS: third}):
        assert span.canary.errors <= span.canary.requests
