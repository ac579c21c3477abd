"""The ladder's shape, and the rule that a rise takes one rung at a time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serinus.rollout.ladder import MOST_RUNGS, Ladder, check_jump

STANDARD = Ladder.of([5, 20, 50, 100])

weights = st.integers(0, 100)
ladders = st.sets(st.integers(1, 99), max_size=MOST_RUNGS - 1).map(lambda lower: Ladder.of([*sorted(lower), 100]))


def codes(ladder: Ladder, old: int | None, new: int) -> list[str]:
    return [violation.code for violation in check_jump(ladder, old, new)]


@pytest.mark.parametrize(
    ("rungs", "complaint"),
    [
        ([], "1 to 20 rungs, this one has 0"),
        ([*range(1, 21), 100], "1 to 20 rungs, this one has 21"),
        ([5, 5, 100], r"rise strictly.*\[5, 5, 100\]"),
        ([20, 5, 100], r"rise strictly.*\[20, 5, 100\]"),
        ([5, 50], "ends at 50"),
        ([0, 100], "greater than or equal to 1"),
        ([5, 101], "less than or equal to 100"),
        ([True, 100], "valid integer"),
    ],
)
def test_a_ladder_of_the_wrong_shape_is_refused(rungs: list[int], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Ladder.of(rungs)


def test_a_ladder_of_the_most_rungs_is_accepted() -> None:
    assert len(Ladder.of([*range(1, MOST_RUNGS), 100]).rungs) == MOST_RUNGS


def test_a_bake_time_below_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match="bake_seconds"):
        Ladder.model_validate({"rungs": [{"weight": 100, "bake_seconds": -1}]})


@pytest.mark.parametrize(
    ("weight", "upper"), [(0, 5), (4, 5), (5, 20), (12, 20), (50, 100), (99, 100), (100, None), (101, None)]
)
def test_the_next_rung_is_the_first_one_above(weight: int, upper: int | None) -> None:
    rung = STANDARD.next_rung(weight)
    assert (rung.weight if rung else None) == upper


@pytest.mark.parametrize(
    ("weight", "lower"), [(0, None), (4, None), (5, 5), (19, 5), (20, 20), (99, 50), (100, 100), (101, 100)]
)
def test_the_last_rung_is_the_highest_one_at_or_below(weight: int, lower: int | None) -> None:
    rung = STANDARD.last_rung(weight)
    assert (rung.weight if rung else None) == lower


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, 0, []),
        (None, 5, []),
        (None, 20, ["skipped-rung"]),
        (0, 3, ["not-a-rung"]),
        (0, 7, ["skipped-rung", "not-a-rung"]),
        (5, 20, []),
        (5, 6, ["not-a-rung"]),
        (5, 50, ["skipped-rung"]),
        (5, 80, ["skipped-rung", "not-a-rung"]),
        (12, 20, []),
        (20, 5, []),
        (20, 7, []),
        (50, 100, []),
        (100, 100, []),
        (100, 0, []),
        (120, 100, []),
        (50, 101, ["skipped-rung", "not-a-rung"]),
        (100, 101, ["skipped-rung", "not-a-rung"]),
    ],
)
def test_a_rise_takes_one_rung_at_a_time(old: int | None, new: int, expected: list[str]) -> None:
    assert codes(STANDARD, old, new) == expected


def test_a_refusal_names_old_new_and_allowed() -> None:
    (violation,) = check_jump(STANDARD, 5, 50)
    assert str(violation) == (
        "the weight may not rise from 5 to 50: this skips the rung 20 (skipped-rung). "
        "Set the weight to 20, the next rung of [5, 20, 50, 100], or to anything up to 5."
    )


@given(ladders, weights, weights)
def test_a_decrease_is_always_allowed(ladder: Ladder, one: int, other: int) -> None:
    assert check_jump(ladder, max(one, other), min(one, other)) == []


@given(ladders)
def test_any_walk_up_the_ladder_is_allowed(ladder: Ladder) -> None:
    for old, new in pairwise([0, *ladder.weights]):
        assert check_jump(ladder, old, new) == []


@given(ladders, weights, weights)
def test_a_rise_is_allowed_exactly_to_the_next_rung(ladder: Ladder, old: int, new: int) -> None:
    rises_to_next_rung = new == min((rung for rung in ladder.weights if rung > old), default=None)
    assert (check_jump(ladder, old, new) == []) == (new <= old or rises_to_next_rung)


@given(ladders, weights)
def test_never_seen_counts_as_zero(ladder: Ladder, new: int) -> None:
    assert check_jump(ladder, None, new) == check_jump(ladder, 0, new)
