"""Why a release is to be held: it is demanded, it fails, it costs too much, nobody sees it, or its cut has no reason.

Each function takes one reason into the agent's memory. The first stays, but for a stronger one, until a hold tells it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from serinus.rollout.bill import asked
from serinus.rollout.demand import Action, Demand
from serinus.rollout.hearing import verdict
from serinus.rollout.lower import lower
from serinus.rollout.memory import AGENT, LOST, Cause, Memory, Rules
from serinus.rollout.verdict import Verdict
from serinus.rollout.world import World


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
    if memory.cause is not None or not fades(memory, world, rules, tick) or step_before(world) is not None:
        return memory
    return replace(memory, cause=Cause(_blind_says(memory, tick), AGENT, now, cuts=True))


def orphan(memory: Memory, world: World, rules: Rules, now: datetime, tick: datetime) -> Memory:
    """Take in a cut without a hold: somebody died between the two, or is just about to write the other."""
    if not world.cut or world.hold or memory.cause:
        return replace(memory, orphan_since=None)
    since = memory.orphan_since or tick
    if tick - since < rules.orphan:
        return replace(memory, orphan_since=since)
    return replace(memory, orphan_since=None, cause=Cause(LOST, AGENT, now, cuts=True))


def blind(memory: Memory, weight: int, rules: Rules, now: datetime, tick: datetime) -> Memory:
    """Take in that a live canary goes unseen: for too long, and it is held."""
    found = verdict(memory.heard_so_far, tick)
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
    return f"blind for {seconds:.0f} s: {verdict(memory.heard_so_far, tick).because}"


def fades(memory: Memory, world: World, rules: Rules, tick: datetime) -> bool:
    """Tell whether the canary has gone unseen for so long that it goes back. It goes once, until somebody resumes."""
    if rules.blind_decay is None or memory.blind_since is None or world.route is None or world.route.owned:
        return False
    return world.served > 0 and tick - memory.blind_since >= rules.blind_decay


def step_before(world: World) -> Mapping[str, str] | None:
    """What the Ingress says at the step before this one; None where there is none, or where that can't be said."""
    if world.route is None:
        return None
    lower_rungs = [rung.weight for rung in world.spec.ladder if rung.weight < world.served]
    return lower(world.route.annotations, max(lower_rungs)) if lower_rungs else None
