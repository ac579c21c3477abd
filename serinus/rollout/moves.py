"""What became of the weight since the last look: a step of somebody's, a swap, or a cut, which is no step."""

from dataclasses import replace
from datetime import datetime, timedelta

from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hearing import begin_hearing_of_step
from serinus.rollout.memory import AGENT, Memory, Rules, Step
from serinus.rollout.share import EVERYTHING
from serinus.rollout.world import World


def moved(memory: Memory, world: World, weight: int, rules: Rules, now: datetime) -> tuple[Memory, list[Deed]]:
    """Take in the share that is served now, in percent; return what that was, for the ledger."""
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
    if weight == 0 and (memory.cause is not None or world.hold is not None or world.cut):
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
    return unchanged and step is not None and step.weight == EVERYTHING and weight == 0 and not world.cut


def _overridden(world: World, step: Deed) -> list[Deed]:
    """A rise under an override goes on record with its name and its reason, whether it would have needed one or not."""
    override = world.spec.override
    if override is None or step.new <= step.old or step.at >= override.until:
        return []
    reason = f"{override.reason} (until {override.until:%Y-%m-%d %H:%M %Z})"
    return [replace(step, kind=Kind.OVERRIDE, by=override.by, reason=reason)]
