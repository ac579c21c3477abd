"""What a wall clock says may be written down, and never decides: replicas' clocks differ, jump and lie."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.rollout.causes import demanded, judged
from serinus.rollout.deed import Kind
from serinus.rollout.demand import Action, Demand
from serinus.rollout.memory import Decision, Memory
from serinus.rollout.reconcile import decide
from tests.rollout.test_reconcile import RULES, Play

LIES = [timedelta(days=-27 * 365), timedelta(hours=-1), timedelta(), timedelta(hours=1), timedelta(days=5 * 365)]
lies = pytest.mark.parametrize("lie", LIES, ids=str)


class Lied(Play):
    """A service whose agent has a wall clock that is off by `lie`; the clock that never jumps is right."""

    lie = timedelta()

    def decide(self) -> Decision:
        wall = self.now + self.lie
        if self.leads:
            self.memory = judged(self.memory, wall, self.now)
        return decide(self.memory, self.world, self.charter, RULES, wall, self.now, self.leads)

    def demand(self, action: Action = Action.ROLLBACK) -> None:
        wall = self.now + self.lie
        self.memory = demanded(self.memory, [Demand("chat", action, "it sings flat", "ada", "1", wall)], wall)

    def seconds_until_cut(self) -> int:
        for number in range(1, 60):
            self.second(canary=(2, 2))
            if self.cuts:
                return number
        raise AssertionError("it was not cut")

    def replaced(self, lie: timedelta) -> None:
        """Another replica leads, with a clock of its own, and knows only what is written down."""
        self.memory = Memory()
        self.lie = lie


def healthy(lie: timedelta, seconds: int = 10) -> Lied:
    play = Lied()
    play.lie = lie
    play.seconds(seconds)
    return play


@lies
def test_a_canary_that_breaks_is_cut_as_soon_by_a_clock_that_lies(lie: timedelta) -> None:
    play, honest = healthy(lie), healthy(timedelta())
    assert play.seconds_until_cut() == honest.seconds_until_cut()
    assert play.world.hold is not None
    assert play.deeds[-1] is Kind.CUT


@settings(max_examples=15, deadline=None)
@given(jumps=st.lists(st.sampled_from(LIES), min_size=1, max_size=8))
def test_a_clock_that_jumps_at_each_look_neither_delays_a_cut_nor_hastens_a_rise(jumps: list[timedelta]) -> None:
    play, honest = healthy(timedelta(), 1), healthy(timedelta(), 1)
    for lie in jumps:
        play.lie = lie
        found, true = play.second().status, honest.second().status
        assert found.baked_seconds <= true.baked_seconds
        assert found.allowed_weight <= true.allowed_weight
    assert play.seconds_until_cut() == honest.seconds_until_cut()


@lies
def test_a_leader_with_another_clock_neither_ends_a_hold_nor_brings_the_canary_back(lie: timedelta) -> None:
    play = healthy(lie)
    play.seconds_until_cut()
    hold = play.world.hold
    play.replaced(timedelta())
    play.seconds(20, canary=(0, 0))
    assert play.world.hold == hold
    assert play.status.allowed_weight == 0
    assert play.deeds.count(Kind.CUT) == 1


@lies
def test_a_leader_with_another_clock_never_thinks_that_a_step_baked_longer_than_it_was_heard(lie: timedelta) -> None:
    play, honest = healthy(lie, 3), healthy(timedelta(), 3)
    play.replaced(timedelta())
    found, true = play.second().status, honest.second().status
    assert found.baked_seconds <= true.baked_seconds
    assert found.allowed_weight <= true.allowed_weight


@lies
def test_what_a_replica_that_follows_is_told_is_done_whatever_its_clock_says(lie: timedelta) -> None:
    play = healthy(timedelta())
    play.leads = False
    play.lie = lie
    play.demand()
    play.second()
    assert play.world.hold is not None
    assert play.cuts == 1


def test_a_status_from_the_future_is_written_anew_at_once() -> None:
    play = healthy(timedelta())
    future = play.status.observed_at + timedelta(days=1)
    written = play.status.model_copy(update={"observed_at": future})
    play.world = replace(play.world, status=written)
    assert play.second().due
    assert play.status.observed_at <= play.now
