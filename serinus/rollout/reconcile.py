"""What the agent does next, as a function: from what is declared, observed, counted and demanded to a cut and a status.

All that lasts stands in the CanaryRelease and in who owns the Ingress' fields, so an agent that is killed between any
two steps is followed by one that finds its way from there. What it remembers beside that, it can lose.
"""

from dataclasses import replace
from datetime import datetime

from serinus.rollout.bill import Bill, asked, reckon
from serinus.rollout.causes import blind, fades, orphan, step_before
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.demand import Action
from serinus.rollout.hearing import begin_hearing
from serinus.rollout.hold import Hold
from serinus.rollout.judge import Charter
from serinus.rollout.memory import AGENT, Decision, Memory, Rules
from serinus.rollout.moves import moved
from serinus.rollout.observe import is_due, observe, with_evidence
from serinus.rollout.step import allowed_weight, conclude
from serinus.rollout.world import World


def decide(
    memory: Memory, world: World, charter: Charter, rules: Rules, now: datetime, tick: datetime, leads: bool = True
) -> Decision:
    """Decide on what the API server says now. `now` is the wall clock's, `tick` that of the clock without jumps.

    An agent that does not lead does what is demanded of it, and nothing by itself.
    """
    memory = _same_trial(memory, world, charter, tick)
    if leads:
        memory = orphan(memory, world, rules, now, tick)
    weight = world.served
    memory, steps = moved(memory, world, weight, rules, now)
    if leads:
        memory = blind(memory, weight, rules, now, tick)
    bill = _bill(memory, world, weight, now, tick)
    hold, held = _hold(memory, world, now)
    bill, told = _acted(bill, world, hold, weight, now)
    cut = (leads or memory.cause is not None) and _must_cut(memory, world, rules, tick)
    observed = observe(memory, world, hold, bill, weight, now, tick)
    status = conclude(
        observed, allowed_weight(world.spec.declared(world.generation), observed, now, world.spec.override)
    )
    done = memory.cause is not None and hold is not None and (not memory.cause.cuts or world.cut)
    after = replace(memory, cause=None if done else memory.cause, held=hold is not None)
    due = is_due(world.status, status, rules, now) if leads else hold != world.hold
    lowered = step_before(world) if leads and not cut and fades(memory, world, rules, tick) else None
    return Decision(
        after, cut, lowered, status, due, tuple(with_evidence(deed, status, world) for deed in (*steps, *held, *told))
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
        return after if hold and (action is Action.HOLD or world.cut) else bill, []
    if not weight:
        return bill, []
    spec = world.spec
    return after, [Deed(Kind.BUDGET, spec.service, AGENT, str(bill), now, spec.canary, weight, weight)]


def _hold(memory: Memory, world: World, now: datetime) -> tuple[Hold | None, list[Deed]]:
    """A hold that is there stays. A new one is written once the cut that it is about stands."""
    cause = memory.cause
    if cause is None or (cause.cuts and world.route is not None and not world.cut):
        return world.hold, []
    old = world.status.weight if world.status else 0
    new = world.served
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
        wanted = wanted or served == 0 or world.served > served
    return wanted and (not world.cut or still_served(memory, rules, tick))


def still_served(memory: Memory, rules: Rules, tick: datetime) -> bool:
    """Tell whether the gateway counts requests of the canary now, some time after it was cut.

    One that began before the cut is counted when it ends: it says nothing of the time after.
    """
    busy = memory.hearing.busy_at if memory.hearing else None
    if memory.cut_at is None or busy is None:
        return False
    return busy > memory.cut_at + rules.settle and tick - busy < rules.settle
