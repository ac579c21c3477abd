"""What the agent does next, as a function: from what is declared, observed, counted and demanded to a cut and a status.

All that lasts stands in the CanaryRelease and in who owns the Ingress' fields, so an agent that is killed between any
two steps is followed by one that finds its way from there. What it remembers beside that, it can lose.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from serinus.rollout.bill import Bill, Paid, asked, reckon
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.demand import Action, Demand
from serinus.rollout.hearing import Hearing, begin_hearing, begin_hearing_of_step, counts, verdict
from serinus.rollout.hold import Hold
from serinus.rollout.judge import Charter
from serinus.rollout.lower import lower
from serinus.rollout.share import EVERYTHING, share
from serinus.rollout.status import Observation, Status
from serinus.rollout.step import allowed_weight, conclude
from serinus.rollout.verdict import Verdict
from serinus.rollout.world import World

AGENT = "serinus-agent"
LOST = "the canary was found cut, and why was not written down"


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient the agent is.

    blind_hold: how long a live canary may go unseen before it is held; None never holds it for that.
    blind_decay: how long before it goes back to the step before, once; None never does that. It is held then, too.
    orphan: how long a cut may stand without a hold: a person's rollback writes the one after the other.
    refresh: how old a status may become that says nothing new.
    settle: how long the gateway may take to follow a cut.
    swap: how long the declaration of a swap may come after its last change of an Ingress.
    """

    blind_hold: timedelta | None = timedelta(minutes=2)
    blind_decay: timedelta | None = None
    orphan: timedelta = timedelta(seconds=5)
    refresh: timedelta = timedelta(seconds=5)
    settle: timedelta = timedelta(seconds=2)
    swap: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a release is to be held, kept until its status says so. `cuts`: its traffic goes to zero first."""

    reason: str
    by: str
    at: datetime
    cuts: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The step that the gateway is at. `baked` are seconds that an earlier agent counted, `stable` is beside it."""

    canary: str
    weight: int
    since: datetime
    baked: float
    stable: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What the agent remembers of one service from look to look."""

    hearing: Hearing | None = None
    step: Step | None = None
    cause: Cause | None = None
    held: bool = False
    orphan_since: datetime | None = None
    blind_since: datetime | None = None
    cut_at: datetime | None = None
    fallen_since: datetime | None = None
    paid: Paid | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. `cut` comes first, `status` after it, `deeds` once the status is written; then `memory` counts.

    lower: annotations that bring the canary's share down to the step before; None where it stays.
    """

    memory: Memory
    cut: bool
    lower: Mapping[str, str] | None
    status: Status
    due: bool
    deeds: tuple[Deed, ...] = ()


def demanded(memory: Memory, demands: Iterable[Demand], now: datetime) -> Memory:
    """Take in what was demanded: a rollback is stronger than a hold, and the first of its kind counts."""
    for demand in demands:
        cuts = demand.action is Action.ROLLBACK
        if demand.action is not Action.NOTIFY and (memory.cause is None or (cuts and not memory.cause.cuts)):
            memory = replace(memory, cause=Cause(demand.reason, demand.by, now, cuts))
    return memory


def judged(memory: Memory, now: datetime, tick: datetime) -> Memory:
    """Take in the judge's verdict: a canary that fails while it has traffic is cut."""
    on_trial = memory.step is not None and memory.step.weight > 0 and memory.fallen_since is None
    if memory.hearing is None or memory.held or memory.cause is not None or not on_trial:
        return memory
    found = verdict(memory.hearing, tick)
    if found.verdict is not Verdict.FAIL:
        return memory
    return replace(memory, cause=Cause(f"the canary failed: {found.because}", AGENT, now, cuts=True))


def overspent(memory: Memory, world: World, now: datetime) -> Memory:
    """Take in that the budget of the day is spent, as the status says: once a day, and under no override.

    Whoever resumes, or overrides, has seen the bill; the same bill does not undo that.
    """
    bill = world.status.budget if world.status else None
    action = asked(world.spec.budget, bill)
    override = world.spec.override
    served = memory.step.weight if memory.step else 0
    if action in (None, Action.NOTIFY) or not served or memory.cause or (override and now < override.until):
        return memory
    cuts = action is Action.ROLLBACK
    return memory if world.hold and not cuts else replace(memory, cause=Cause(str(bill), AGENT, now, cuts))


def faded(memory: Memory, world: World, rules: Rules, now: datetime, tick: datetime) -> Memory:
    """Take in that a canary that can't be taken a step back went unseen for too long: on its first step, above all."""
    if memory.cause is not None or not _fades(memory, world, rules, tick) or _before(world) is not None:
        return memory
    return replace(memory, cause=Cause(_blind_says(memory, tick), AGENT, now, cuts=True))


def decide(
    memory: Memory, world: World, charter: Charter, rules: Rules, now: datetime, tick: datetime, leads: bool = True
) -> Decision:
    """Decide on what the API server says now. `now` is the wall clock's, `tick` that of the clock without jumps.

    An agent that does not lead does what is demanded of it, and nothing by itself.
    """
    memory = _same_trial(memory, world, charter, tick)
    if leads:
        memory = _orphan(memory, world, rules, now, tick)
    weight = _weight(world)
    memory, steps = _step(memory, world, weight, rules, now)
    if leads:
        memory = _blind(memory, weight, rules, now, tick)
    bill = _bill(memory, world, weight, now, tick)
    hold, held = _hold(memory, world, now)
    bill, told = _acted(bill, world, hold, weight, now)
    cut = (leads or memory.cause is not None) and _must_cut(memory, world, rules, tick)
    observed = _observe(memory, world, hold, bill, weight, now, tick)
    status = conclude(
        observed, allowed_weight(world.spec.declared(world.generation), observed, now, world.spec.override)
    )
    done = memory.cause is not None and hold is not None and (not memory.cause.cuts or _is_cut(world))
    after = replace(memory, cause=None if done else memory.cause, held=hold is not None)
    due = _due(world.status, status, rules, now) if leads else hold != world.hold
    lowered = _before(world) if leads and not cut and _fades(memory, world, rules, tick) else None
    return Decision(
        after, cut, lowered, status, due, tuple(_told(deed, status, world) for deed in (*steps, *held, *told))
    )


def _same_trial(memory: Memory, world: World, charter: Charter, tick: datetime) -> Memory:
    """Begin anew where there is another canary, other objectives, or a person's word that it may go on."""
    hearing, canary, stable = memory.hearing, world.spec.canary, world.spec.stable
    resumed = memory.held and world.hold is None and memory.cause is None
    asked = (canary, stable, charter)
    if hearing is None or (hearing.canary, hearing.stable, hearing.charter) != asked or resumed:
        fresh = begin_hearing(canary, stable, charter, tick, hearing)
        memory = replace(memory, hearing=fresh, blind_since=None, cut_at=None)
    return replace(memory, held=memory.held and not resumed)


def _orphan(memory: Memory, world: World, rules: Rules, now: datetime, tick: datetime) -> Memory:
    """A cut without a hold: somebody died between the two, or is just about to write the other."""
    if not _is_cut(world) or world.hold or memory.cause:
        return replace(memory, orphan_since=None)
    since = memory.orphan_since or tick
    if tick - since < rules.orphan:
        return replace(memory, orphan_since=since)
    return replace(memory, orphan_since=None, cause=Cause(LOST, AGENT, now, cuts=True))


def _weight(world: World) -> int:
    return share(world.route.annotations) if world.route else 0


def _step(memory: Memory, world: World, weight: int, rules: Rules, now: datetime) -> tuple[Memory, list[Deed]]:
    step, canary, stable = memory.step, world.spec.canary, world.spec.stable
    if step is not None and (step.canary, step.weight, step.stable) == (canary, weight, stable) and step.since <= now:
        return replace(memory, fallen_since=None), []
    before = world.status
    if step is None and before is not None and (before.canary, before.weight) == (canary, weight):
        since = before.step_started_at or now
        if since <= now:
            return replace(memory, step=Step(canary, weight, since, before.baked_seconds, stable)), []
    at = memory.fallen_since or now
    if _may_be_a_swap(step, world, weight) and timedelta(0) <= now - at < rules.swap:
        return replace(memory, fallen_since=at), []
    old = step.weight if step else before.weight if before else weight
    after = replace(memory, step=Step(canary, weight, now, 0.0, stable), fallen_since=None)
    by = (world.route.writer if world.route else "") or "unknown"
    swapped = []
    if step is not None and step.stable != stable:
        again = "" if step.canary == stable else " again"
        reason = f"{stable} became the stable release{again}, after {step.stable}"
        swapped = [Deed(Kind.SWAP, world.spec.service, by, reason, now, stable, old, weight)]
    if weight == 0 and (memory.cause is not None or world.hold is not None or _is_cut(world)):
        # A cut is no step of anybody's. What led to it stays to be seen.
        return after, swapped
    hearing = begin_hearing_of_step(memory.hearing) if memory.hearing else None
    after = replace(after, hearing=hearing)
    if swapped:
        return after, swapped
    if old == weight:
        return after, []
    reason = f"from {old} % to {weight} %"
    if by == AGENT:
        reason = f"blind for too long: back {reason}"
    stepped = Deed(Kind.STEP, world.spec.service, by, reason, now, canary, old, weight)
    return after, [stepped, *_overridden(world, stepped)]


def _may_be_a_swap(step: Step | None, world: World, weight: int) -> bool:
    """The last act of a swap on an Ingress looks like a fall from 100 to 0, until the spec says what it was."""
    unchanged = step is not None and (step.canary, step.stable) == (world.spec.canary, world.spec.stable)
    return unchanged and step is not None and step.weight == EVERYTHING and weight == 0 and not _is_cut(world)


def _overridden(world: World, step: Deed) -> list[Deed]:
    """A rise under an override goes on record with its name and its reason, whether it would have needed one or not."""
    override = world.spec.override
    if override is None or step.new <= step.old or step.at >= override.until:
        return []
    reason = f"{override.reason} (until {override.until:%Y-%m-%d %H:%M %Z})"
    return [replace(step, kind=Kind.OVERRIDE, by=override.by, reason=reason)]


def _blind(memory: Memory, weight: int, rules: Rules, now: datetime, tick: datetime) -> Memory:
    found = verdict(_hearing(memory), tick)
    if found.verdict is not Verdict.BLIND or not weight:
        return replace(memory, blind_since=None)
    since = memory.blind_since or tick
    memory = replace(memory, blind_since=since)
    patience = min((one for one in (rules.blind_hold, rules.blind_decay) if one is not None), default=None)
    if patience is None or tick - since < patience or memory.held or memory.cause:
        return memory
    return replace(memory, cause=Cause(_blind_says(memory, tick), AGENT, now, cuts=False))


def _blind_says(memory: Memory, tick: datetime) -> str:
    seconds = (tick - (memory.blind_since or tick)).total_seconds()
    return f"blind for {seconds:.0f} s: {verdict(_hearing(memory), tick).because}"


def _fades(memory: Memory, world: World, rules: Rules, tick: datetime) -> bool:
    """Tell whether the canary has gone unseen for so long that it goes back. It goes once, until somebody resumes."""
    if rules.blind_decay is None or memory.blind_since is None or world.route is None or world.route.owned:
        return False
    return _weight(world) > 0 and tick - memory.blind_since >= rules.blind_decay


def _before(world: World) -> Mapping[str, str] | None:
    """What the Ingress says at the step before this one; None where there is none, or where that can't be said."""
    if world.route is None:
        return None
    lower_rungs = [rung.weight for rung in world.spec.ladder if rung.weight < _weight(world)]
    return lower(world.route.annotations, max(lower_rungs)) if lower_rungs else None


def _bill(memory: Memory, world: World, weight: int, now: datetime, tick: datetime) -> Bill | None:
    spec, before = world.spec, world.status
    if spec.budget is None or not spec.canary:
        return None
    paid = memory.paid if memory.paid and memory.paid.counts(spec.canary, tick) else None
    upper = spec.declared(world.generation).ladder.next_rung(weight)
    known = before.budget if before and before.canary == spec.canary else None
    return reckon(spec.budget, paid, known, now, weight, upper.weight if upper else None)


def _acted(
    bill: Bill | None, world: World, hold: Hold | None, weight: int, now: datetime
) -> tuple[Bill | None, list[Deed]]:
    """Note on the bill that its action was taken, so that it is taken once. To tell people is an action too."""
    action = asked(world.spec.budget, bill)
    if bill is None or action is None:
        return bill, []
    after = bill.model_copy(update={"acted": True})
    if action is not Action.NOTIFY:
        return after if hold and (action is Action.HOLD or _is_cut(world)) else bill, []
    if not weight:
        return bill, []
    spec = world.spec
    return after, [Deed(Kind.BUDGET, spec.service, AGENT, str(bill), now, spec.canary, weight, weight)]


def _hearing(memory: Memory) -> Hearing:
    if memory.hearing is None:
        raise RuntimeError("nothing was heard yet: `decide` begins every hearing")
    return memory.hearing


def _hold(memory: Memory, world: World, now: datetime) -> tuple[Hold | None, list[Deed]]:
    """A hold that is there stays. A new one is written once the cut that it is about stands."""
    cause = memory.cause
    if cause is None or (cause.cuts and world.route is not None and not _is_cut(world)):
        return world.hold, []
    old = world.status.weight if world.status else 0
    new = _weight(world)
    kind = Kind.CUT if cause.cuts else Kind.HELD
    if not cause.cuts and memory.blind_since:
        kind = Kind.BLIND
    deed = Deed(kind, world.spec.service, cause.by, cause.reason, now, world.spec.canary, old, new)
    if world.hold is not None:
        return world.hold, [deed] if old != new else []
    return Hold(reason=cause.reason, by=cause.by, since=min(cause.at, now)), [deed]


def _must_cut(memory: Memory, world: World, rules: Rules, tick: datetime) -> bool:
    """A cut is for good until somebody resumes: whatever undoes it is undone; until it is heard it is said again."""
    if world.route is None:
        return False
    wanted = bool(memory.cause and memory.cause.cuts)
    if world.hold is not None:
        served = world.status.weight if world.status else 0
        wanted = wanted or served == 0 or _weight(world) > served
    return wanted and (not _is_cut(world) or still_served(memory, rules, tick))


def still_served(memory: Memory, rules: Rules, tick: datetime) -> bool:
    """Tell whether the gateway counts requests of the canary now, some time after it was cut.

    One that began before the cut is counted when it ends: it says nothing of the time after.
    """
    busy = memory.hearing.busy_at if memory.hearing else None
    if memory.cut_at is None or busy is None:
        return False
    return busy > memory.cut_at + rules.settle and tick - busy < rules.settle


def _observe(
    memory: Memory,
    world: World,
    hold: Hold | None,
    bill: Bill | None,
    weight: int,
    now: datetime,
    tick: datetime,
) -> Observation:
    before, canary, hearing = world.status, world.spec.canary, _hearing(memory)
    step = memory.step or Step(canary, weight, now, 0.0, world.spec.stable)
    found = verdict(hearing, tick)
    judgement: tuple[Verdict | None, str] = (found.verdict, found.because)
    on_canary, on_stable = counts(hearing)
    if not canary:
        judgement = (None, "there is no canary")
    elif hold and before and before.canary == canary and before.verdict is Verdict.FAIL:
        # An agent that has just begun knows nothing against the canary. The status does, until somebody resumes.
        judgement = (Verdict.FAIL, before.because)
        on_canary, on_stable = before.canary_counts, before.stable_counts
    elapsed = max((now - step.since).total_seconds(), 0.0)
    return Observation(
        service=world.spec.service,
        canary=canary,
        weight=weight,
        verdict=judgement[0],
        because=judgement[1],
        canary_counts=on_canary,
        stable_counts=on_stable,
        step_started_at=step.since,
        baked_seconds=_tenths(min(step.baked + hearing.listened, elapsed)) if weight else 0.0,
        hold=hold,
        approvals=before.approvals if before and before.canary == canary else (),
        budget=bill,
        observed_at=now,
        observed_generation=world.generation,
    )


def _tenths(seconds: float) -> float:
    """Round down: a step must not have baked longer than it lasts."""
    return math.floor(seconds * 10.0) / 10.0


def _due(before: Status | None, after: Status, rules: Rules, now: datetime) -> bool:
    if before is None or now - before.observed_at >= rules.refresh or before.observed_at > now:
        return True
    passing = {"observed_at", "baked_seconds", "because", "canary_counts", "stable_counts", "reasons"}
    return before.model_dump(exclude=passing) != after.model_dump(exclude=passing)


def _is_cut(world: World) -> bool:
    return world.route is not None and world.route.cut_holds


def _told(deed: Deed, status: Status, world: World) -> Deed:
    evidence = {
        "because": status.because,
        "canary": status.canary_counts.document(),
        "stable": status.stable_counts.document(),
        "bakedSeconds": status.baked_seconds,
        "allowedWeight": status.allowed_weight,
        "spec": world.spec.document(),
    }
    return replace(deed, verdict=status.verdict, evidence=evidence)
