"""When guards would have fired in the past: over gaps, garbage, and times that were bad."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.alert_guards import Guard
from serinus.rollout.alert_rules import Rule
from serinus.rollout.backtest import Span, fired, outcome, read_series

RULE = Rule("value", "says", limit=0.5, samples="samples", least=10)


def guard(lasting: int = 0) -> Guard:
    return Guard(threshold=0.5, windowSeconds=15, forSeconds=lasting, minSamples=10, action="rollback")


def series(text: str) -> dict[float, float]:
    """One character a step of 5 s: a digit is tenths, a blank is nothing."""
    return {5.0 * index: int(digit) / 10 for index, digit in enumerate(text) if digit != " "}


@pytest.mark.parametrize(
    ("values", "lasting", "expected"),
    [
        ("000000", 0, []),
        ("555555", 0, []),  # at the limit is not above it
        ("006600", 0, [(10, 15)]),
        ("660066", 0, [(0, 5), (20, 25)]),
        ("066660", 10, [(15, 20)]),  # since 5 s, for 10 s
        ("066 66", 10, []),  # a gap begins anew
        ("066066", 10, []),
        ("      ", 0, []),
        ("666666", 60, []),
    ],
)
def test_a_guard_fires_after_its_time_and_until_it_is_well_again(
    values: str, lasting: int, expected: list[tuple[float, float]]
) -> None:
    enough = dict.fromkeys(series(values), 10.0)
    found = fired(RULE, guard(lasting), series(values), enough, Span(0, 25), 5)
    assert [(one.start, one.end) for one in found] == expected


def test_with_too_few_samples_or_none_known_a_guard_is_silent() -> None:
    values = series("6666")
    assert fired(RULE, guard(), values, dict.fromkeys(values, 9.0), Span(0, 15), 5) == []
    assert fired(RULE, guard(), values, {}, Span(0, 15), 5) == []


def test_a_rule_without_a_limit_fires_while_it_has_a_value() -> None:
    lost = Rule("absent(up)", "says")
    assert fired(lost, guard(5), {5.0: 1.0, 10.0: 1.0, 20.0: 1.0}, {}, Span(0, 20), 5) == [Span(10, 10)]


def test_what_begins_outside_the_bad_times_is_a_false_alarm_and_what_begins_inside_has_a_delay() -> None:
    found = outcome("errorRate", [Span(10, 20), Span(110, 300), Span(120, 130)], [Span(100, 200), Span(400, 500)])
    assert found.false_alarms == (Span(10, 20),)
    assert found.delays == (10,)
    assert found.missed == 1


def test_an_alert_that_fires_already_when_it_gets_bad_has_caught_nothing() -> None:
    found = outcome("errorRate", [Span(90, 150)], [Span(100, 200)])
    assert (found.false_alarms, found.delays, found.missed) == ((Span(90, 150),), (), 1)


def test_an_answer_is_read_and_what_is_no_number_in_it_is_no_value() -> None:
    one = {"metric": {}, "values": [[5, "0.5"], [10, "NaN"], [15, "+Inf"], [20, "x"], [25], None, ["t", "1"]]}
    other = {"metric": {"a": "b"}, "values": [[5, "0.7"]]}
    answer = {"status": "success", "data": {"resultType": "matrix", "result": [one, other, None, {}]}}
    assert read_series(answer) == {5.0: 0.7, 15.0: math.inf}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"data": None},
        {"data": {"resultType": "vector", "result": []}},
        {"data": {"resultType": "matrix"}},
    ],
)
def test_another_answer_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="no answer of Prometheus to a range query"):
        read_series(answer)


@given(st.text(alphabet="0369 ", max_size=40), st.integers(0, 6))
def test_a_longer_wait_never_fires_earlier_or_more(text: str, steps: int) -> None:
    values = series(text)
    enough = dict.fromkeys(values, 10.0)
    span = Span(0, 5.0 * max(len(text) - 1, 1))
    at_once, later = (fired(RULE, guard(lasting), values, enough, span, 5) for lasting in (0, 5 * steps))
    assert len(later) <= len(at_once)
    for one in later:
        (around,) = (each for each in at_once if each.holds(one.start))
        assert one.start - around.start == 5 * steps
        assert one.end == around.end
