"""What the status of a CanaryRelease is to say, when that is worth writing, and what a deed tells of it."""

import math
from dataclasses import replace
from datetime import datetime

from serinus.rollout.bill import Bill
from serinus.rollout.deed import Deed
from serinus.rollout.hearing import counts, verdict
from serinus.rollout.hold import Hold
from serinus.rollout.memory import Memory, Rules, Step
from serinus.rollout.status import Observation, Status
from serinus.rollout.verdict import Verdict
from serinus.rollout.world import World


def observe(
    memory: Memory,
    world: World,
    hold: Hold | None,
    bill: Bill | None,
    weight: int,
    now: datetime,
    tick: datetime,
) -> Observation:
    """Return what is seen of the service, with the judge's verdict."""
    before, canary, hearing = world.status, world.spec.canary, memory.heard_so_far
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


def is_due(before: Status | None, after: Status, rules: Rules, now: datetime) -> bool:
    """Tell whether a status is worth writing: it says something new, or the one before grows old."""
    if before is None or now - before.observed_at >= rules.refresh or before.observed_at > now:
        return True
    passing = {"observed_at", "baked_seconds", "because", "canary_counts", "stable_counts", "reasons"}
    return before.model_dump(exclude=passing) != after.model_dump(exclude=passing)


def with_evidence(deed: Deed, status: Status, world: World) -> Deed:
    """Return the deed with what it rests on."""
    evidence = {
        "because": status.because,
        "canary": status.canary_counts.document(),
        "stable": status.stable_counts.document(),
        "bakedSeconds": status.baked_seconds,
        "allowedWeight": status.allowed_weight,
        "spec": world.spec.document(),
    }
    return replace(deed, verdict=status.verdict, evidence=evidence)


def _tenths(seconds: float) -> float:
    """Round down: a step must not have baked longer than it lasts."""
    return math.floor(seconds * 10.0) / 10.0
