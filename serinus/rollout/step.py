"""One step of the weight: may it be taken, and how far may it go?

Both questions go through the same rules. A reader asks about the step that somebody wants; the agent asks about each
rung and publishes the highest one that passes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from serinus.rollout.bill import check_bill
from serinus.rollout.budget import Budget
from serinus.rollout.hold import Override, waive
from serinus.rollout.ladder import Ladder, ladder_facts
from serinus.rollout.rules import (
    AGE_SECONDS,
    ALLOWED_WEIGHT,
    APPROVED,
    BAKE_SECONDS,
    BAKED_SECONDS,
    CANARY,
    CAP_RULES,
    GENERATION,
    HELD,
    HELD_BECAUSE,
    LADDER_RULES,
    LEAST_AGE_SECONDS,
    MOST_AGE_SECONDS,
    OBSERVED_GENERATION,
    SERVICE,
    STATUS_CANARY,
    STATUS_RULES,
    STATUS_SERVICE,
    VERDICT,
    VERDICT_BECAUSE,
    WEIGHT_SEEN,
    Facts,
    refusals,
)
from serinus.rollout.status import Observation, Status
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation


@dataclass(frozen=True, slots=True)
class Declared:
    """What the live CanaryRelease declares: `canary` is a release id, `generation` the object's own."""

    service: str
    canary: str
    ladder: Ladder
    generation: int
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a status may be, and how far two clocks may differ, both in seconds."""

    most_age_seconds: float = 30.0
    most_skew_seconds: float = 5.0


class Allowance(NamedTuple):
    """The highest weight that is safe now, and what refuses the next rung."""

    weight: int
    refused: list[Violation]


def check_step(
    declared: Declared,
    status: Status | Violation,
    old: int | None,
    new: int,
    now: datetime,
    freshness: Freshness = Freshness(),
) -> list[Violation]:
    """Check a change of weight against all rules; an empty list allows it.

    `old` is the live weight in percent, None if none was ever seen; `status` is what `read_status` returned; `now` has
    a time zone. A decrease, or no change, is always allowed.
    """
    seen = old or 0
    ladder = ladder_facts(declared.ladder, seen, new)
    if isinstance(status, Violation):
        jump = refusals(LADDER_RULES, ladder)
        return [*jump, status] if new > seen else []
    facts = {
        **ladder,
        **status_facts(declared, status, seen, new, now, freshness),
        ALLOWED_WEIGHT: status.allowed_weight,
    }
    # The cap repeats what the other rules say, so it only speaks when they are silent.
    return refusals((*LADDER_RULES, *STATUS_RULES), facts) or refusals(CAP_RULES, facts)


def allowed_weight(
    declared: Declared,
    seen: Observation,
    now: datetime,
    override: Override | None = None,
    freshness: Freshness = Freshness(),
) -> Allowance:
    """Return the highest weight that may be served now, in percent.

    Without an objection it is the next rung, with one it is the weight that is served; a hold or a failed verdict
    takes that away too. A budget is no rule of the table: only who knows the bill can ask for it.
    """

    def refused(new: int) -> list[Violation]:
        facts = {
            **ladder_facts(declared.ladder, seen.weight, new),
            **status_facts(declared, seen, seen.weight, new, now, freshness),
        }
        costs = check_bill(declared.budget, seen.budget, seen.weight, new)
        return waive([*refusals((*LADDER_RULES, *STATUS_RULES), facts), *costs], override, now).remaining

    upper = declared.ladder.next_rung(seen.weight)
    reasons = refused(upper.weight) if upper else []
    safe = [rung.weight for rung in declared.ladder.rungs if rung.weight > seen.weight and not refused(rung.weight)]
    served = 0 if seen.hold or seen.verdict is Verdict.FAIL else seen.weight
    return Allowance(max(safe, default=served), reasons)


def conclude(seen: Observation, allowance: Allowance) -> Status:
    """Join an observation with the weight that it allows into the status to publish."""
    reasons = tuple(violation.sentence for violation in allowance.refused)
    return Status(**{**dict(seen), "allowed_weight": allowance.weight, "reasons": reasons})


def status_facts(
    declared: Declared, seen: Observation, old: int, new: int, now: datetime, freshness: Freshness
) -> Facts:
    """Return what the rules look at in a status, for a change of the weight from `old` to `new`, both in percent."""
    rung = declared.ladder.last_rung(old)
    approved = {approval.weight for approval in seen.approvals}
    asked = {rung.weight for rung in declared.ladder.rungs if rung.approval and old < rung.weight <= new}
    return {
        SERVICE: declared.service,
        STATUS_SERVICE: seen.service,
        CANARY: declared.canary,
        STATUS_CANARY: seen.canary,
        GENERATION: declared.generation,
        OBSERVED_GENERATION: seen.observed_generation,
        AGE_SECONDS: (now - seen.observed_at).total_seconds(),
        MOST_AGE_SECONDS: freshness.most_age_seconds,
        LEAST_AGE_SECONDS: -freshness.most_skew_seconds,
        WEIGHT_SEEN: seen.weight,
        HELD: seen.hold is not None,
        HELD_BECAUSE: seen.hold.reason if seen.hold else "",
        VERDICT: seen.verdict or "",
        VERDICT_BECAUSE: seen.because or "no reason given",
        BAKED_SECONDS: seen.baked_seconds,
        BAKE_SECONDS: rung.bake_seconds if rung else 0,
        APPROVED: asked <= approved,
    }
