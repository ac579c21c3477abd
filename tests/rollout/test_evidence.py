"""From counters that restart, stand still or arrive twice to what really happened."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.evidence import Arms, Feed, Look, Reading, Tally, take

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
MOST_AGE = timedelta(seconds=10)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reading(seconds: float, canary: tuple[int, int], stable: tuple[int, int] = (0, 0)) -> Reading:
    return Reading(at(seconds), {"errors": Arms(Tally(*canary), Tally(*stable))})


def looks(*readings: dict[str, Reading]) -> list[Look]:
    """Take one group of readings a second, each at its second."""
    feed, found = Feed({}), []
    for second, group in enumerate(readings):
        feed, new = take(feed, group, at(second), MOST_AGE)
        found.append(new)
    return found


def errors(look: Look) -> tuple[float, float, float, float]:
    (canary, stable) = look.counts.get("errors", Arms())
    return canary.total, canary.bad, stable.total, stable.bad


def test_the_first_reading_only_sets_where_counting_begins() -> None:
    (first,) = looks({"a": reading(0, (500, 60), (9500, 40))})
    assert errors(first) == (0, 0, 0, 0)


def test_later_readings_count_what_was_added() -> None:
    _, second = looks({"a": reading(0, (500, 60), (9500, 40))}, {"a": reading(1, (503, 62), (9510, 40))})
    assert errors(second) == (3, 2, 10, 0)
    assert second.seconds == 1


def test_a_series_that_is_born_after_its_source_counts_from_zero() -> None:
    unborn = Reading(at(0), {"errors": Arms(stable=Tally(9500, 40))})
    _, second = looks({"a": unborn}, {"a": reading(1, (5, 5), (9500, 40))})
    assert errors(second) == (5, 5, 0, 0)


def test_a_metric_that_is_born_after_its_source_counts_from_zero() -> None:
    _, second = looks({"a": Reading(at(0), {})}, {"a": reading(1, (5, 5))})
    assert errors(second) == (5, 5, 0, 0)


@pytest.mark.parametrize(("after", "expected"), [((3, 1), (3, 1)), ((0, 0), (0, 0)), ((700, 2), (700, 2))])
def test_a_counter_that_fell_began_anew(after: tuple[int, int], expected: tuple[float, float]) -> None:
    _, second = looks({"a": reading(0, (500, 60), (10, 0))}, {"a": reading(1, after, (12, 1))})
    assert errors(second) == (*expected, 2, 1)


def test_bad_events_that_are_read_ahead_of_their_requests_are_bounded_by_them() -> None:
    _, second = looks({"a": reading(0, (500, 60))}, {"a": reading(1, (501, 63))})
    assert errors(second) == (1, 1, 0, 0)


def test_sources_are_added_and_each_is_compared_with_itself() -> None:
    _, second = looks(
        {"a": reading(0, (500, 60)), "b": reading(0, (10, 0))},
        {"a": reading(1, (501, 60)), "b": reading(1, (12, 1)), "new": reading(1, (900, 900))},
    )
    assert errors(second) == (3, 1, 0, 0)


def test_a_source_that_was_away_is_counted_from_its_own_last_reading() -> None:
    *_, last = looks({"a": reading(0, (500, 60))}, {}, {"a": reading(2, (504, 61))})
    assert errors(last) == (4, 1, 0, 0)
    assert last.seconds == 2


def test_the_same_reading_twice_brings_nothing() -> None:
    same = {"a": reading(1, (501, 60))}
    *_, again = looks({"a": reading(0, (500, 60))}, same, same)
    assert again == Look(0, {})


def test_a_reading_out_of_order_brings_nothing() -> None:
    *_, late = looks({"a": reading(0, (1, 0))}, {"a": reading(1, (9, 0))}, {"a": reading(0.5, (5, 0))})
    assert late == Look(0, {})


@pytest.mark.parametrize(("seconds", "taken"), [(-10, True), (-10.1, False), (0, True), (0.1, False)])
def test_a_reading_too_old_or_from_the_future_is_left_out(seconds: float, taken: bool) -> None:
    feed, _ = take(Feed({}), {"a": reading(seconds, (1, 0))}, START, MOST_AGE)
    assert (feed.fresh_at is not None) == taken


@pytest.mark.parametrize("tally", [(-1, 0), (1, -1), (1, 2), (float("nan"), 0), (1, float("nan")), (float("inf"), 0)])
def test_a_tally_that_makes_no_sense_is_refused(tally: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a tally counts from 0"):
        Tally(*tally)


steps = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (max(pair), min(pair))), max_size=20
)


@given(steps, st.sets(st.integers(0, 19)))
def test_whatever_is_missed_or_restarted_nothing_is_counted_twice(
    increments: Sequence[tuple[int, int]], restarts: set[int]
) -> None:
    feed, _ = take(Feed({}), {"a": reading(0, (0, 0))}, at(0), MOST_AGE)
    total = bad = 0
    counted = Tally()
    for second, (more, worse) in enumerate(increments, 1):
        if second in restarts:
            total = bad = 0
        total, bad = total + more, bad + worse
        feed, look = take(feed, {"a": reading(second, (total, bad))}, at(second), MOST_AGE)
        counted = counted + look.counts["errors"].canary
    assert counted.total <= sum(more for more, _ in increments)
    assert counted.bad <= sum(worse for _, worse in increments)
    if not restarts & set(range(1, len(increments) + 1)):
        assert counted.total == sum(more for more, _ in increments)
