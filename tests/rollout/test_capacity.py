"""How many pods a rollout needs: for the canary's share, and for a rollback at any moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.capacity import (
    Autoscale,
    Capacity,
    canary_pods,
    check_capacity,
    check_pods,
    share_pods,
)
from serinus.rollout.expected import Expected
from serinus.rollout.ladder import Ladder

LADDER = Ladder.of((5, 20, 50, 100))


@pytest.mark.parametrize(
    ("pods", "by_weight"),
    [
        (1, {0: 1, 5: 1, 20: 1, 50: 1, 100: 1}),
        (2, {0: 1, 5: 1, 20: 1, 50: 2, 100: 2}),
        (8, {0: 1, 5: 2, 20: 4, 50: 8, 100: 8}),
        (100, {0: 5, 5: 20, 20: 50, 50: 100, 100: 100}),
    ],
)
def test_the_canary_has_the_pods_of_the_rung_above_it(pods: int, by_weight: dict[int, int]) -> None:
    capacity = Capacity(pods=pods)
    assert {weight: canary_pods(capacity, LADDER, weight) for weight in by_weight} == by_weight


@given(st.integers(1, 1000), st.integers(0, 100))
def test_a_share_has_its_pods_and_no_release_is_without_one(pods: int, share: int) -> None:
    found = share_pods(Capacity(pods=pods), share)
    assert 1 <= found <= pods
    assert found * 100 >= pods * share
    assert (found - 1) * 100 < pods * share or found == 1


@given(st.integers(1, 1000), st.sets(st.integers(1, 99), max_size=8), st.integers(0, 99))
def test_a_rise_finds_the_pods_that_the_step_before_asked_for(pods: int, rungs: set[int], weight: int) -> None:
    capacity, ladder = Capacity(pods=pods), Ladder.of((*sorted(rungs), 100))
    rung = ladder.next_rung(weight)
    assert rung is not None
    assert check_pods(capacity, rung.weight, canary_pods(capacity, ladder, weight)) == []


EIGHT = Capacity(pods=8)


@pytest.mark.parametrize(
    ("capacity", "expected", "kept", "codes"),
    [
        (EIGHT, None, 0, []),
        (EIGHT, None, 1, []),
        (Capacity(pods=8, room=16), None, 0, []),
        (Capacity(pods=8, room=15), None, 0, ["no-room"]),
        (Capacity(pods=8, room=16), None, 1, ["no-room"]),
        (Capacity(pods=8, room=24), None, 1, []),
        (Capacity(pods=8, autoscale=Autoscale(most=8)), None, 0, []),
        (Capacity(pods=8, autoscale=Autoscale(most=7)), None, 0, ["autoscale-too-low"]),
        (EIGHT, Expected(requests_per_second=40.0), 0, []),
        (EIGHT, Expected(requests_per_second=40.0, per_replica=5.0), 0, []),
        (EIGHT, Expected(requests_per_second=41.0, per_replica=5.0), 0, ["no-way-back"]),
        (Capacity(pods=8, room=9), Expected(requests_per_second=41.0, per_replica=5.0), 0, ["no-room", "no-way-back"]),
    ],
)
def test_a_rollout_that_can_not_be_carried_is_refused_before_it_begins(
    capacity: Capacity, expected: Expected | None, kept: int, codes: list[str]
) -> None:
    assert [one.code for one in check_capacity(capacity, LADDER, expected, kept)] == codes


@pytest.mark.parametrize(("rung", "ready", "lacks"), [(20, 2, False), (20, 1, True), (100, 7, True), (100, 9, False)])
def test_a_rise_waits_for_its_pods(rung: int, ready: int, lacks: bool) -> None:
    assert [one.code for one in check_pods(EIGHT, rung, ready)] == (["pods-not-ready"] if lacks else [])
