"""What a promoter does next, by table; and that no way of killing it skips a rung or repeats one."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.hold import Hold, Override
from serinus.rollout.ladder import Ladder
from serinus.rollout.promotion import Kind, Situation, bake_left, next_act, swap_act
from serinus.rollout.status import Status, read_status
from serinus.rollout.step import Declared, allowed_weight, conclude
from serinus.rollout.succession import Stable
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation
from tests.rollout.step_cases import APPROVAL, HOLD, LADDER, NOW, PASSING, TOP

now = datetime.fromisoformat(NOW)
declared = Declared("chat", "v2-0f3a9c21", Ladder.model_validate(LADDER), generation=7)
MISSING = read_status(None)


def at(weight: int, status: dict[str, Any] | None = None, **changes: Any) -> Situation:
    """A rollout that stands at `weight` with a status that passes, changed."""
    seen = read_status({**PASSING, "weight": weight, **(status or {})})
    resting = Situation(weight, weight, weight, changed=False, declared=declared, status=seen)
    return replace(resting, **changes)


CASES = [
    ("a passing step rises to the next rung", at(5), Kind.RAISE, 20, []),
    ("a step that bakes waits", at(5, {"bakedSeconds": 10}), Kind.WAIT, 20, ["bake-not-over"]),
    ("too few requests wait", at(5, {"verdict": "insufficient"}), Kind.WAIT, 20, ["verdict-insufficient"]),
    ("no telemetry waits", at(5, {"verdict": "blind"}), Kind.WAIT, 20, ["verdict-blind"]),
    ("no verdict waits", at(5, {"verdict": None}), Kind.WAIT, 20, ["verdict-missing"]),
    ("no status waits", replace(at(5), status=MISSING), Kind.WAIT, 20, ["status-missing"]),
    ("an old status waits", at(5, {"observedAt": "2026-11-21T11:00:00Z"}), Kind.WAIT, 20, ["status-stale"]),
    ("a new spec waits to be seen", at(5, {"observedGeneration": 6}), Kind.WAIT, 20, ["generation-not-observed"]),
    ("a cap waits", at(5, {"allowedWeight": 5}), Kind.WAIT, 20, ["above-allowed-weight"]),
    ("a person is asked", at(50, TOP), Kind.APPROVAL, 100, ["approval-missing"]),
    (
        "a person is asked after the bake",
        at(50, {**TOP, "bakedSeconds": 1}),
        Kind.WAIT,
        100,
        ["bake-not-over", "approval-missing"],
    ),
    ("an approved step rises", at(50, {**TOP, "approvals": [APPROVAL]}), Kind.RAISE, 100, []),
    ("a hold ends it", at(5, {"hold": HOLD}), Kind.HELD, 20, ["held"]),
    (
        "a hold ends it, whatever else",
        at(5, {"hold": HOLD, "bakedSeconds": 1}),
        Kind.HELD,
        20,
        ["held", "bake-not-over"],
    ),
    ("a failure ends it", at(5, {"verdict": "fail"}), Kind.HELD, 20, ["verdict-failed"]),
    ("the top is the end", at(100), Kind.DONE, 100, []),
    # Somebody was killed between two writes, or has changed the number by hand.
    ("a committed rise is applied", at(5, committed=20), Kind.APPLY, 20, []),
    ("a committed rise waits as any other", at(5, {"bakedSeconds": 1}, committed=20), Kind.WAIT, 20, ["bake-not-over"]),
    ("a committed jump is refused", at(5, committed=50), Kind.REFUSED, 50, ["skipped-rung"]),
    ("a committed weight beside the rungs is refused", at(5, committed=12), Kind.REFUSED, 12, ["not-a-rung"]),
    ("a half applied rise is applied", at(20, applied=5), Kind.APPLY, 20, []),
    ("a decrease is applied at once", at(20, {"bakedSeconds": 1}, committed=5), Kind.APPLY, 5, []),
    ("a decrease is applied while held", at(20, {"hold": HOLD}, committed=0), Kind.APPLY, 0, []),
    ("a decrease needs no status", replace(at(20, committed=0), status=MISSING), Kind.APPLY, 0, []),
    (
        "after a cut the number does not come back",
        at(0, {"hold": HOLD}, committed=20, applied=20),
        Kind.HELD,
        20,
        ["skipped-rung", "held"],
    ),
    ("after a resume it starts at the first rung", at(0, committed=20, applied=20), Kind.REFUSED, 20, ["skipped-rung"]),
    # Another release, another ladder.
    ("a new release is deployed", at(0, changed=True), Kind.APPLY, 0, []),
    ("a new release in place of a live one", at(20, changed=True, committed=0), Kind.APPLY, 0, []),
    ("a new release does not start above 0", at(0, changed=True, committed=5), Kind.REFUSED, 5, ["changed-and-raised"]),
    (
        "a canary that is gone is the end",
        at(0, {"canary": ""}, declared=replace(declared, canary="")),
        Kind.DONE,
        0,
        [],
    ),
]


@pytest.mark.parametrize(
    ("situation", "kind", "weight", "codes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_next_act(situation: Situation, kind: Kind, weight: int, codes: list[str]) -> None:
    act = next_act(situation, 100, now)
    assert (act.kind, act.weight, [one.code for one in act.because]) == (kind, weight, codes)


@pytest.mark.parametrize(
    ("goal", "kind"), [(5, Kind.DONE), (20, Kind.RAISE), (3, Kind.DONE), (19, Kind.DONE), (21, Kind.RAISE)]
)
def test_it_ends_at_its_goal(goal: int, kind: Kind) -> None:
    assert next_act(at(5), goal, now).kind is kind


def test_an_override_puts_aside_what_it_may() -> None:
    override = Override(by="ada", reason="a fix that can't wait", until=now + timedelta(hours=1))
    assert next_act(at(5, {"bakedSeconds": 1}, override=override), 100, now).kind is Kind.RAISE
    assert next_act(at(5, {"hold": HOLD}, override=override), 100, now).kind is Kind.HELD
    late = override.model_copy(update={"until": now})
    assert next_act(at(5, {"bakedSeconds": 1}, override=late), 100, now).kind is Kind.WAIT
    assert next_act(at(50, TOP, override=late), 100, now).kind is Kind.APPROVAL


def test_the_bake_that_is_left() -> None:
    assert bake_left(at(5, {"bakedSeconds": 10})) == 590
    assert bake_left(at(5, {"bakedSeconds": 4000})) == 0
    assert bake_left(at(0)) == 0
    assert bake_left(replace(at(5), status=MISSING)) == 0


@pytest.mark.parametrize(
    ("situation", "kind", "codes"),
    [
        (at(100), Kind.APPLY, []),
        (at(100, {"verdict": "insufficient"}), Kind.APPLY, []),
        (at(100, {"hold": HOLD}), Kind.HELD, ["held"]),
        (at(100, {"verdict": "fail"}), Kind.HELD, ["verdict-failed"]),
        (at(100, {"weight": 50}), Kind.WAIT, ["swap-too-early"]),
        (at(100, {"observedAt": "2026-11-21T11:00:00Z"}), Kind.WAIT, ["status-stale"]),
        (replace(at(100), status=MISSING), Kind.WAIT, ["status-missing"]),
    ],
)
def test_a_swap_asks_what_a_rise_asks_but_for_a_comparison(situation: Situation, kind: Kind, codes: list[str]) -> None:
    act = swap_act(situation, Stable(("chat-v1",)), now)
    assert (act.kind, [one.code for one in act.because]) == (kind, codes)


@dataclass
class World:
    """A stack's file, a cluster and a clock, with a promoter that is killed after any of its writes."""

    weights: tuple[int, ...]
    at: datetime = now
    committed: int = 0
    served: int = 0
    applied: int = 0
    generation: int = 1
    step_since: datetime = now
    verdict: Verdict = Verdict.PASS
    hold: Hold | None = None
    silent_since: datetime | None = None

    def situation(self) -> Situation:
        ladder = Ladder.of(self.weights)
        ladder = Ladder(rungs=tuple(rung.model_copy(update={"bake_seconds": 60}) for rung in ladder.rungs))
        live = Declared("chat", "v2-0f3a9c21", ladder, self.generation)
        observed = self.silent_since or self.at
        seen = (
            read_status(
                {
                    **PASSING,
                    "weight": self.served,
                    "verdict": self.verdict,
                    "observedAt": observed,
                    "stepStartedAt": self.step_since,
                    "bakedSeconds": max(0.0, (observed - self.step_since).total_seconds()),
                    "observedGeneration": self.generation,
                    "hold": self.hold.document() if self.hold else None,
                }
            )
            if observed >= self.step_since
            else MISSING
        )
        if isinstance(seen, Status):
            seen = conclude(seen, allowed_weight(live, seen, self.at))
        return Situation(self.committed, self.applied, self.served, changed=False, declared=live, status=seen)

    def apply(self, steps: int) -> None:
        """One `pulumi up`, which ends after so many of its writes."""
        if steps > 0 and self.served != self.committed:
            self.served, self.step_since = self.committed, self.at
        if steps > 1 and self.applied != self.committed:
            self.applied = self.committed
            self.generation += 1


events = st.one_of(
    st.tuples(st.just("promote"), st.integers(0, 3)),
    st.tuples(st.just("pass time"), st.integers(1, 90)),
    st.tuples(st.just("verdict"), st.sampled_from(list(Verdict))),
    st.tuples(st.just("silence"), st.booleans()),
)


@given(
    weights=st.lists(st.integers(1, 99), max_size=4, unique=True).map(lambda some: (*sorted(some), 100)),
    happened=st.lists(events, max_size=60),
)
def test_however_often_it_is_killed_no_rung_is_skipped_or_repeated(
    weights: tuple[int, ...], happened: list[tuple[str, Any]]
) -> None:
    world, climbed = World(weights), [0]
    for event, value in happened:
        if event == "pass time":
            world.at += timedelta(seconds=value)
        elif event == "verdict":
            world.verdict = value
        elif event == "silence":
            world.silent_since = (world.silent_since or world.at) if value else None
        else:
            situation = world.situation()
            act = next_act(situation, 100, world.at)
            if act.kind in (Kind.RAISE, Kind.APPLY):
                rises = act.weight > world.served
                if rises:
                    assert not act.because
                    assert world.verdict is Verdict.PASS or (world.served == 0 and world.verdict == "insufficient")
                    assert (world.at - (world.silent_since or world.at)).total_seconds() <= 30
                    assert world.served == 0 or (world.at - world.step_since).total_seconds() >= 60
                if value > 0:
                    world.committed = act.weight
                world.apply(value - 1)
                if world.served != climbed[-1]:
                    climbed.append(world.served)
    assert climbed == [0, *weights][: len(climbed)]


def test_left_alone_it_climbs_to_the_top() -> None:
    world = World((5, 20, 100))
    for _ in range(30):
        act = next_act(world.situation(), 100, world.at)
        if act.kind in (Kind.RAISE, Kind.APPLY):
            world.committed = act.weight
            world.apply(2)
        world.at += timedelta(seconds=30)
    assert (world.served, next_act(world.situation(), 100, world.at).kind) == (100, Kind.DONE)


def test_a_status_of_no_shape_is_no_consent() -> None:
    assert isinstance(read_status({"weight": "many"}), Violation)
    act = next_act(replace(at(5), status=read_status({"weight": "many"})), 100, now.astimezone(UTC))
    assert act.kind is Kind.WAIT
