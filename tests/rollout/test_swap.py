"""The end of a rollout and the way back from it, as lines of the stack's file."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.swap import NothingToSwapError, Roles, finished, retired, undone, warm_left

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIVE = Roles(stable="v1", canary="v2", weight=100, previous="")
names = st.sampled_from(["", "v1", "v2", "v3"])
roles = st.builds(Roles, stable=names.filter(bool), canary=names, weight=st.integers(0, 100), previous=names)


def test_a_finished_rollout_has_no_canary_and_remembers_the_way_back() -> None:
    after = finished(LIVE)
    assert after == Roles(stable="v2", canary="", weight=0, previous="v1")
    assert LIVE.changes(after) == {"stable": "v2", "canary": "", "weight": 0, "previous": "v1"}


def test_the_way_back_puts_the_release_on_trial_again() -> None:
    assert undone(finished(LIVE)) == Roles(stable="v1", canary="v2", weight=0, previous="")


def test_a_retired_release_leaves_one_line() -> None:
    assert finished(LIVE).changes(retired(finished(LIVE))) == {"previous": ""}


@pytest.mark.parametrize(
    ("change", "before", "why"),
    [
        (finished, Roles("v1", "", 0, ""), "no canary"),
        (undone, Roles("v1", "v2", 5, ""), "serinus:previous is empty"),
    ],
)
def test_what_cannot_be_is_told(change: type, before: Roles, why: str) -> None:
    with pytest.raises(NothingToSwapError, match=why):
        change(before)


@given(roles)
def test_nobody_is_left_without_a_release(before: Roles) -> None:
    for change in (finished, undone, retired):
        try:
            after = change(before)
        except NothingToSwapError:
            continue
        assert after.stable
        assert after.weight == 0 or change is retired
        kept = {before.stable, before.canary, before.previous}
        assert {after.stable, after.canary, after.previous} <= {*kept, ""}


@pytest.mark.parametrize(("ago", "left"), [(None, 60.0), (0, 60.0), (45, 15.0), (60, 0.0), (3600, 0.0), (-5, 65.0)])
def test_a_release_is_kept_for_its_time(ago: int | None, left: float) -> None:
    assert warm_left(None if ago is None else NOW - timedelta(seconds=ago), 60, NOW) == left
