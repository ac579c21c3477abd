"""What the agent does next. A clock of its own, counters by hand, and an Ingress that is only annotations."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.bill import Bill, Paid
from serinus.rollout.budget import Spending
from serinus.rollout.causes import demanded, faded, judged, overspent
from serinus.rollout.cut import MANAGER
from serinus.rollout.deed import Kind
from serinus.rollout.demand import Action, Demand
from serinus.rollout.evidence import Arms, Reading, Tally
from serinus.rollout.gateway_series import ERRORS
from serinus.rollout.hearing import hear
from serinus.rollout.hold import Hold
from serinus.rollout.judge import Charter
from serinus.rollout.memory import LOST, Decision, Memory, Rules
from serinus.rollout.objectives import Objectives
from serinus.rollout.reconcile import decide
from serinus.rollout.share import CANARY, WEIGHT, cut, share
from serinus.rollout.status import Status
from serinus.rollout.verdict import Verdict
from serinus.rollout.world import Route, World, read_spec

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = Rules()
SPEC = {
    "service": "chat",
    "host": "chat.test",
    "stable": "v1-01234567",
    "canary": "v2-01234567",
    "weight": 20,
    "ladder": [{"weight": 5}, {"weight": 20, "bakeSeconds": 5}, {"weight": 50}, {"weight": 100, "approval": True}],
}


class Play:
    """One service, second by second. What is decided is done: the Ingress is cut, the status written."""

    rules = RULES

    def __init__(self, weight: int = 20, **spec: Any) -> None:
        self.now = NOW
        self.memory = Memory()
        self.world = World(read_spec({**SPEC, **spec}), 1, "1", None, None, self.route(weight))
        self.canary = Tally(1000, 3)
        self.stable = Tally(4000, 12)
        self.cuts = 0
        self.deeds: list[Kind] = []
        self.leads = True

    @staticmethod
    def route(weight: int, owned: bool = False) -> Route:
        return Route({CANARY: "true", WEIGHT: str(weight)}, cut_holds=owned, writer="pulumi")

    @property
    def charter(self) -> Charter:
        return self.world.spec.objectives.charter(timedelta(seconds=30))

    @property
    def status(self) -> Status:
        assert self.world.status is not None
        return self.world.status

    def count(self, canary: tuple[int, int] = (2, 0), stable: tuple[int, int] = (8, 0)) -> None:
        """Let the gateway count so many requests, of which so many fail."""
        self.canary += Tally(*canary)
        self.stable += Tally(*stable)

    def listen(self) -> None:
        reading = Reading(self.now, {ERRORS: Arms(self.canary, self.stable)})
        if self.memory.hearing is not None:
            self.memory = replace(self.memory, hearing=hear(self.memory.hearing, {"a": reading}, ("a",), self.now))

    def decide(self) -> Decision:
        return decide(self.memory, self.world, self.charter, self.rules, self.now, self.now, self.leads)

    def judge(self) -> None:
        self.memory = judged(self.memory, self.now, self.now)
        self.memory = overspent(self.memory, self.world, self.now)
        self.memory = faded(self.memory, self.world, self.rules, self.now, self.now)

    def second(
        self, canary: tuple[int, int] = (2, 0), stable: tuple[int, int] = (8, 0), heard: bool = True
    ) -> Decision:
        self.now += timedelta(seconds=1)
        self.count(canary, stable)
        if heard:
            self.listen()
        if self.leads:
            self.judge()
        found = self.decide()
        if found.cut:
            self.cut()
            found = self.decide()
        elif found.lower is not None:
            self.lower(found.lower)
            found = self.decide()
        self.adopt(found)
        return found

    def cut(self) -> None:
        assert self.world.route is not None
        self.cuts += 1
        if not self.world.route.cut_holds:
            self.memory = replace(self.memory, cut_at=self.now)
        annotations = {**self.world.route.annotations, **cut(self.world.route.annotations)}
        self.world = replace(self.world, route=Route(annotations, cut_holds=True, writer=MANAGER, owned=True))

    def lower(self, changes: Mapping[str, str]) -> None:
        assert self.world.route is not None
        annotations = {**self.world.route.annotations, **changes}
        self.world = replace(self.world, route=Route(annotations, writer=MANAGER, owned=True))

    def pay(self, today: float, recent: float = 0.1) -> None:
        """Let the tokens have cost so much today, and so much in the last minute."""
        paid = Paid("v2-01234567", Spending(today, recent, 60), self.now, self.now)
        self.memory = replace(self.memory, paid=paid)

    def adopt(self, found: Decision) -> None:
        self.memory = found.memory
        self.deeds += [deed.kind for deed in found.deeds]
        if found.due:
            self.world = replace(self.world, status=found.status, hold=found.status.hold)

    def seconds(self, number: int, **looks: Any) -> None:
        for _ in range(number):
            self.second(**looks)

    def demand(self, action: Action = Action.ROLLBACK) -> None:
        asked = Demand("chat", action, "it sings flat", "ada", "1", self.now)
        self.memory = demanded(self.memory, [asked], self.now)

    def resume(self) -> None:
        assert self.world.status is not None
        assert self.world.route is not None
        given = replace(self.world.route, cut_holds=False, owned=False)
        status = self.world.status.model_copy(update={"hold": None})
        self.world = replace(self.world, status=status, hold=None, route=given)

    def die(self) -> None:
        """The process is killed; the next one knows nothing."""
        self.memory = Memory()


def test_a_canary_that_breaks_is_cut_in_seconds_and_then_held() -> None:
    play = Play()
    play.seconds(5)
    assert (play.cuts, play.status.hold, play.status.weight) == (0, None, 20)
    for _ in range(5):
        play.second(canary=(2, 2))
        if play.cuts:
            break
    assert (play.cuts, play.deeds) == (1, [Kind.CUT])
    assert play.status.hold is not None
    assert "the canary failed: errors" in play.status.hold.reason
    assert (play.status.weight, play.status.allowed_weight, play.status.verdict) == (0, 0, Verdict.FAIL)
    counted = play.status.canary_counts
    assert counted.errors >= 3
    play.seconds(20, canary=(0, 0))
    assert play.status.canary_counts == counted


def test_a_healthy_canary_is_left_alone_and_passes() -> None:
    play = Play()
    play.seconds(300, canary=(4, 0))
    assert (play.cuts, play.deeds) == (0, [])
    assert (play.status.verdict, play.status.allowed_weight) == (Verdict.PASS, 50)


def test_an_outage_of_both_arms_cuts_nobody() -> None:
    play = Play()
    play.seconds(60, canary=(4, 2), stable=(16, 8))
    assert play.cuts == 0


def test_before_anything_was_heard_the_agent_is_blind() -> None:
    play = Play()
    play.second(heard=False)
    assert (play.status.verdict, play.status.allowed_weight) == (Verdict.BLIND, 20)


def test_time_without_telemetry_does_not_bake_and_in_the_end_holds() -> None:
    play = Play()
    play.seconds(4)
    baked = play.status.baked_seconds
    play.seconds(100, heard=False)
    assert (play.status.verdict, play.status.hold, play.deeds) == (Verdict.BLIND, None, [])
    assert play.status.baked_seconds <= baked + 4
    play.seconds(60, heard=False)
    assert play.status.hold is not None
    assert "blind for 120 s" in play.status.hold.reason
    assert (play.cuts, play.deeds, play.status.weight) == (0, [Kind.BLIND], 20)


def test_one_silent_pod_of_the_gateway_makes_blind() -> None:
    play = Play()
    play.seconds(5)
    for _ in range(40):
        play.now += timedelta(seconds=1)
        play.count()
        reading = Reading(play.now, {ERRORS: Arms(play.canary, play.stable)})
        assert play.memory.hearing is not None
        play.memory = replace(play.memory, hearing=hear(play.memory.hearing, {"a": reading}, ("a", "b"), play.now))
        play.adopt(play.decide())
    assert (play.status.verdict, play.status.because) == (Verdict.BLIND, "the gateway at b can't be read")


@pytest.mark.parametrize("leads", [True, False])
def test_any_replica_does_what_is_demanded(leads: bool) -> None:
    play = Play()
    play.seconds(2)
    play.leads = leads
    play.demand()
    play.second()
    assert (play.cuts, play.deeds) == (1, [Kind.CUT])
    assert play.status.hold == Hold(reason="it sings flat", by="ada", since=play.now - timedelta(seconds=1))
    play.demand()
    play.second(canary=(0, 0))
    assert (play.cuts, play.deeds, play.memory.cause) == (1, [Kind.CUT], None)


def test_a_replica_that_does_not_lead_judges_nobody_and_writes_nothing() -> None:
    play = Play()
    play.leads = False
    play.seconds(30, canary=(2, 2))
    assert (play.cuts, play.world.status) == (0, None)


def test_a_demanded_hold_stops_rises_and_keeps_the_traffic() -> None:
    play = Play()
    play.seconds(2)
    play.demand(Action.HOLD)
    play.seconds(5)
    assert (play.cuts, play.deeds) == (0, [Kind.HELD])
    assert (play.status.weight, play.status.allowed_weight) == (20, 0)
    play.demand()
    play.second()
    assert (play.cuts, play.deeds, play.status.weight) == (1, [Kind.HELD, Kind.CUT], 0)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("route", [Play.route(3), Play.route(0)], ids=["raised", "no longer owned"])
def test_what_undoes_a_cut_is_undone(killed: bool, route: Route) -> None:
    play = Play()
    play.seconds(2)
    play.demand()
    play.second()
    if killed:
        play.die()
    play.world = replace(play.world, route=route)
    play.second(canary=(0, 0))
    assert play.cuts == 2
    assert play.status.hold is not None


def test_an_agent_that_is_killed_after_the_cut_keeps_hold_and_verdict() -> None:
    play = Play()
    play.seconds(3)
    while not play.cuts:
        play.second(canary=(2, 2))
    before = play.status
    play.die()
    play.seconds(20, canary=(0, 0))
    assert (play.status.hold, play.status.verdict, play.status.because) == (before.hold, Verdict.FAIL, before.because)
    assert (play.cuts, play.deeds) == (1, [Kind.CUT])


def test_an_agent_that_is_killed_between_cut_and_hold_is_followed_by_one_that_holds() -> None:
    play = Play()
    play.seconds(3)
    play.cut()
    play.die()
    play.seconds(4, canary=(0, 0))
    assert play.status.hold is None
    play.seconds(4, canary=(0, 0))
    assert play.status.hold is not None
    assert (play.status.hold.reason, play.deeds) == (LOST, [Kind.CUT])


def test_a_cut_that_the_gateway_does_not_follow_is_said_again() -> None:
    play = Play()
    play.seconds(2)
    play.demand()
    play.second()
    play.seconds(2, canary=(2, 0))
    assert play.cuts == 1
    play.second(canary=(2, 0))
    assert play.cuts == 2


def test_an_answer_that_ends_late_does_not_cut_for_ever() -> None:
    play = Play()
    play.seconds(30)
    play.demand()
    play.seconds(10, canary=(0, 0))
    play.second(canary=(1, 0))
    play.seconds(10, canary=(0, 0))
    late = play.cuts
    play.seconds(60, canary=(0, 0))
    assert play.cuts == late


def test_resumed_means_judged_anew() -> None:
    play = Play()
    play.seconds(3)
    while not play.cuts:
        play.second(canary=(2, 2))
    play.resume()
    play.seconds(3, canary=(0, 0))
    assert (play.status.hold, play.cuts) == (None, 1)
    assert play.status.verdict is not Verdict.FAIL
    play.world = replace(play.world, route=Play.route(5))
    play.seconds(10)
    assert (play.status.hold, play.status.weight, play.cuts) == (None, 5, 1)
    assert play.deeds == [Kind.CUT, Kind.STEP]


def test_a_step_by_others_is_noted_once_and_begins_its_bake() -> None:
    play = Play()
    play.seconds(10)
    assert 5 <= play.status.baked_seconds <= 9
    play.world = replace(play.world, route=Play.route(50), generation=2)
    found = play.second()
    (deed,) = found.deeds
    assert (deed.kind, deed.by, deed.old, deed.new) == (Kind.STEP, "pulumi", 20, 50)
    assert (play.status.baked_seconds, play.status.observed_generation) == (0.0, 2)
    play.seconds(3)
    assert play.deeds == [Kind.STEP]


@pytest.mark.parametrize(
    ("weight", "hours", "kinds"),
    [(50, 1, [Kind.STEP, Kind.OVERRIDE]), (50, -1, [Kind.STEP]), (5, 1, [Kind.STEP])],
    ids=["a rise", "a rise after its end", "a decrease"],
)
def test_a_rise_under_an_override_goes_on_record_with_who_and_why(weight: int, hours: int, kinds: list[Kind]) -> None:
    play = Play()
    play.seconds(10)
    override = {"by": "ada", "reason": "a fix", "until": (play.now + timedelta(hours=hours)).isoformat()}
    play.world = replace(play.world, spec=read_spec(SPEC | {"override": override}), route=Play.route(weight))
    found = play.second()
    assert [deed.kind for deed in found.deeds] == kinds
    if len(kinds) == 2:
        assert (found.deeds[1].by, found.deeds[1].old, found.deeds[1].new) == ("ada", 20, 50)
        assert found.deeds[1].reason.startswith("a fix (until ")


@given(st.lists(st.floats(0.001, 9.0), min_size=5, max_size=30))
def test_a_step_never_bakes_longer_than_it_lasts(pauses: list[float]) -> None:
    play = Play()
    for number, pause in enumerate(pauses):
        play.now += timedelta(seconds=pause)
        play.count()
        play.listen()
        play.now += timedelta(seconds=0.016)
        if number == 3:
            play.world = replace(play.world, route=Play.route(50))
        play.adopt(play.decide())
        elapsed = play.status.observed_at - (play.status.step_started_at or play.now)
        assert play.status.baked_seconds <= elapsed.total_seconds()


def test_a_new_agent_goes_on_with_the_bake_of_the_old_one() -> None:
    play = Play()
    play.seconds(11)
    before = play.status
    play.die()
    play.seconds(3)
    assert play.status.step_started_at == before.step_started_at
    assert play.status.baked_seconds >= before.baked_seconds


def test_approvals_are_carried_on_for_the_same_canary_only() -> None:
    play = Play()
    play.seconds(2)
    approved = play.status.model_validate(
        {**play.status.document(), "approvals": [{"weight": 100, "by": "ada", "at": play.now.isoformat()}]}
    )
    play.world = replace(play.world, status=approved)
    play.seconds(6)
    assert [one.weight for one in play.status.approvals] == [100]
    play.world = replace(play.world, spec=read_spec(SPEC | {"canary": "v3-01234567"}), generation=2)
    play.second()
    assert (play.status.approvals, play.status.canary) == ((), "v3-01234567")


def test_without_a_canary_there_is_nothing_to_judge() -> None:
    play = Play(weight=0)
    play.world = replace(play.world, spec=read_spec(SPEC | {"canary": "", "weight": 0}))
    play.seconds(3, canary=(0, 0))
    assert (play.status.verdict, play.status.because, play.cuts) == (None, "there is no canary", 0)


SWAPPED = read_spec(SPEC | {"stable": "v2-01234567", "canary": "", "weight": 0})


@pytest.mark.parametrize("late", [0, 1, 4])
def test_a_swap_is_noted_once_and_no_fall_to_zero_beside_it(late: int) -> None:
    play = Play(weight=100)
    play.seconds(3)
    play.world = replace(play.world, route=Play.route(0))
    play.seconds(late)
    play.world = replace(play.world, spec=SWAPPED, generation=2)
    found = [*play.second().deeds, *play.second().deeds]
    assert [(deed.kind, deed.release, deed.old, deed.new) for deed in found] == [(Kind.SWAP, "v2-01234567", 100, 0)]
    play.seconds(8)
    assert (play.deeds, play.cuts) == ([Kind.SWAP], 0)


def test_the_way_back_of_a_held_release_is_noted_too() -> None:
    play = Play(weight=0)
    play.world = replace(play.world, spec=SWAPPED)
    play.seconds(2, canary=(0, 0))
    play.world = replace(play.world, hold=Hold(reason="it sings flat", by="ada", since=play.now))
    play.world = replace(play.world, spec=read_spec(SPEC | {"weight": 0}), generation=3)
    play.seconds(3, canary=(0, 0))
    assert play.deeds == [Kind.SWAP]


def test_a_fall_from_the_top_is_a_step_when_no_swap_follows() -> None:
    play = Play(weight=100)
    play.seconds(3)
    play.world = replace(play.world, route=Play.route(0))
    play.seconds(8)
    assert play.deeds == [Kind.STEP]


@pytest.mark.parametrize("canary", ["v2-01234567", ""])
def test_the_way_back_is_noted_once(canary: str) -> None:
    play = Play(weight=0)
    play.world = replace(play.world, spec=SWAPPED)
    play.seconds(3, canary=(0, 0))
    play.world = replace(play.world, spec=read_spec(SPEC | {"canary": canary, "weight": 0}), generation=3)
    (deed,) = play.second(canary=(0, 0)).deeds
    assert (deed.kind, deed.release) == (Kind.SWAP, "v1-01234567")
    assert deed.reason == "v1-01234567 became the stable release again, after v2-01234567"
    play.seconds(3, canary=(0, 0))
    assert play.deeds == [Kind.SWAP]


def test_a_wall_clock_that_jumps_back_starts_the_bake_anew_and_blinds_nobody() -> None:
    play = Play()
    play.seconds(10)
    earlier = play.now - timedelta(hours=1)
    found = decide(play.memory, play.world, play.charter, RULES, earlier, play.now)
    assert (found.status.observed_at, found.status.baked_seconds, found.due) == (earlier, 0.0, True)
    assert found.status.verdict is not Verdict.BLIND


def test_other_objectives_mean_another_trial() -> None:
    play = Play()
    play.seconds(300, canary=(4, 0))
    assert play.status.verdict is Verdict.PASS
    asked = Objectives.model_validate({"errors": {"limit": 0.02}})
    play.world = replace(play.world, spec=play.world.spec.model_copy(update={"objectives": asked}), generation=2)
    play.seconds(3)
    assert play.status.verdict is not Verdict.PASS


def test_a_status_that_says_nothing_new_is_written_only_now_and_then() -> None:
    play = Play()
    play.seconds(20)
    written = sum(play.second().due for _ in range(20))
    assert 3 <= written <= 5


class Fading(Play):
    """A rollout whose stack lets a canary that nobody sees go a step back after five minutes."""

    rules = Rules(blind_decay=timedelta(minutes=5))


def test_a_canary_that_goes_unseen_is_held_and_later_goes_one_step_back() -> None:
    play = Fading()
    play.seconds(5)
    play.seconds(290, heard=False)
    assert (play.status.weight, play.deeds) == (20, [Kind.BLIND])
    play.seconds(60, heard=False)
    assert (play.status.weight, play.status.allowed_weight) == (5, 0)
    assert (play.cuts, play.deeds) == (0, [Kind.BLIND, Kind.STEP])
    play.seconds(900, heard=False)
    assert (play.status.weight, play.deeds) == (5, [Kind.BLIND, Kind.STEP])
    play.world = replace(play.world, route=Play.route(20))
    play.second()
    assert (play.cuts, play.status.weight) == (1, 0)


def test_an_agent_that_is_killed_after_it_went_back_goes_no_further() -> None:
    play = Fading()
    play.seconds(5)
    play.seconds(350, heard=False)
    play.die()
    play.seconds(700, heard=False)
    assert (play.status.weight, play.cuts) == (5, 0)


def test_from_the_first_step_the_way_back_is_a_cut() -> None:
    play = Fading(weight=5)
    play.seconds(5)
    play.seconds(350, heard=False)
    assert (play.status.weight, play.cuts, play.deeds) == (0, 1, [Kind.BLIND, Kind.CUT])


@pytest.mark.parametrize("leads", [True, False])
def test_nobody_goes_back_unless_it_is_asked_for_and_the_agent_leads(leads: bool) -> None:
    play = Play() if leads else Fading()
    play.leads = leads
    play.seconds(5)
    play.seconds(2000, heard=False)
    assert (play.cuts, share(play.world.route.annotations if play.world.route else {})) == (0, 20)


def test_a_canary_whose_telemetry_comes_back_in_time_stays() -> None:
    play = Fading()
    for _ in range(3):
        play.seconds(5)
        play.seconds(290, heard=False)
    assert (play.status.weight, play.deeds) == (20, [Kind.BLIND])


def priced(action: str = "hold", **more: Any) -> dict[str, Any]:
    return {"budget": {"perDay": 10, "outputPerMillion": 2, "action": action, **more}}


def bill(play: Play) -> Bill:
    assert play.status.budget is not None
    return play.status.budget


def test_without_a_count_a_canary_with_a_budget_does_not_rise() -> None:
    play = Play(**priced())
    play.seconds(300, canary=(4, 0))
    assert (play.status.verdict, play.status.allowed_weight) == (Verdict.PASS, 20)
    assert "not known" in play.status.reasons[0]
    play.pay(today=0.5, recent=0.0001)
    play.second()
    assert (play.status.allowed_weight, bill(play).spent) == (50, 0.5)
    play.seconds(110, canary=(4, 0))
    assert (play.status.allowed_weight, bill(play).spent, bill(play).per_hour) == (20, 0.5, None)


def test_a_rise_that_breaks_the_budget_by_midnight_is_not_allowed() -> None:
    play = Play(**priced())
    play.seconds(300, canary=(4, 0))
    # It is noon: half a cent a minute is 3.60 until midnight, and 9 at 50 %.
    play.pay(today=0.5, recent=0.005)
    play.second()
    assert play.status.allowed_weight == 50
    play.pay(today=1.5, recent=0.005)
    play.second()
    assert play.status.allowed_weight == 20
    assert play.status.reasons[0].startswith("at 50 % the canary would cost 10.4")


@pytest.mark.parametrize(
    ("action", "kinds", "weight", "held"),
    [
        ("rollback", [Kind.CUT], 0, True),
        ("hold", [Kind.HELD], 20, True),
        ("notify", [Kind.BUDGET], 20, False),
    ],
)
def test_a_spent_budget_does_what_it_says_once_a_day(action: str, kinds: list[Kind], weight: int, held: bool) -> None:
    play = Play(**priced(action))
    play.seconds(3)
    play.pay(today=10.2)
    play.seconds(3)
    assert (play.deeds, play.status.weight, play.status.hold is not None) == (kinds, weight, held)
    assert (bill(play).acted, play.status.allowed_weight) == (True, 0 if held else 20)
    if held:
        assert play.status.hold is not None
        assert play.status.hold.reason == "the canary has cost 10.20 today, the budget is 10.00"
        # Whoever resumes has seen it.
        play.resume()
        play.world = replace(play.world, route=Play.route(20))
    play.die()
    play.pay(today=11)
    play.seconds(5)
    assert [kind for kind in play.deeds if kind is not Kind.STEP] == kinds
    assert (play.status.hold, play.status.weight) == (None, 20)
    # The next day has a bill of its own.
    play.now += timedelta(days=1)
    play.pay(today=10.5)
    play.seconds(3)
    assert [kind for kind in play.deeds if kind is not Kind.STEP] == kinds * 2


def test_a_rollback_for_the_budget_comes_to_a_canary_that_is_held_already() -> None:
    play = Play(**priced("rollback"))
    play.seconds(3)
    play.demand(Action.HOLD)
    play.second()
    play.pay(today=12)
    play.seconds(3)
    assert (play.deeds, play.status.weight) == ([Kind.HELD, Kind.CUT], 0)
    assert bill(play).acted


def test_an_override_lets_a_canary_cost_more() -> None:
    override = {"by": "ada", "reason": "worth it", "until": (NOW + timedelta(hours=1)).isoformat()}
    play = Play(**priced("rollback"), override=override)
    play.seconds(3)
    play.pay(today=12)
    play.seconds(60)
    assert (play.cuts, play.deeds) == (0, [])


def test_a_count_of_another_release_is_no_count() -> None:
    play = Play(**priced(), canary="v3-01234567")
    play.seconds(3)
    play.pay(today=12)
    play.second()
    assert bill(play).spent is None


@given(st.sampled_from(["rollback", "hold", "notify"]), st.floats(0, 1e15), st.floats(0, 1e15), st.integers(0, 100))
def test_no_bill_ever_raises_a_weight_or_breaks_a_turn(action: str, today: float, recent: float, weight: int) -> None:
    play = Play(weight=weight, **priced(action))
    for _ in range(3):
        play.second()
        play.pay(today, recent)
    assert play.status.weight <= weight
