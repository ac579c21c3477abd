"""What was done to a rollout: the one form in which the agent and people hand it to the books and the notices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from serinus.rollout.verdict import Verdict


class Kind(StrEnum):
    """What happened."""

    STEP = "step"  # the weight changed, by whoever declares it
    CUT = "cut"  # the traffic went to zero at once
    HELD = "held"  # no rise until somebody resumes
    RESUMED = "resumed"
    APPROVED = "approved"
    OVERRIDE = "override"  # a person put rules aside
    SWAP = "swap"  # the canary became the stable release
    BLIND = "blind"  # nothing could be counted for longer than allowed
    BUDGET = "budget"  # the budget of the day is spent, and nothing was changed


@dataclass(frozen=True, slots=True)
class Deed:
    """One deed. `by` is a person or serinus-agent; `old` and `new` are weights in percent; `at` has a time zone.

    `evidence` is what the decision rested on, as JSON: counts, rules that fire, the spec. Never prompts, user ids or
    secrets. The ledger keeps only its digest.
    """

    kind: Kind
    service: str
    by: str
    reason: str
    at: datetime
    release: str = ""
    old: int = 0
    new: int = 0
    verdict: Verdict | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
