"""What people and the agent put on record about a step: holds, approvals and overrides.

Each names who, and each is bound: a hold until it is resumed, an approval to one rung, an override to a date.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pydantic import Field

from serinus.rollout.record import Moment, Record, Words
from serinus.rollout.rules import WAIVABLE
from serinus.rollout.violation import Violation


class Hold(Record):
    """No rise until somebody resumes."""

    reason: Words = Field(description="why, such as the judge's sentence")
    by: Words = Field(description="a person, or serinus-agent")
    since: Moment = Field(description="an RFC 3339 time with its zone")


class Approval(Record):
    """A person's yes to the rise to one rung."""

    weight: int = Field(ge=1, le=100, description="the rung's weight, an integer from 1 to 100")
    by: Words = Field(description="who approves")
    at: Moment = Field(description="an RFC 3339 time with its zone")


class Override(Record):
    """A person puts the waivable rules aside for a while."""

    by: Words = Field(description="who overrides")
    reason: Words = Field(description="why")
    until: Moment = Field(description="an RFC 3339 time with its zone; the override ends then")

    def __str__(self) -> str:
        return f"{self.by} until {self.until:%Y-%m-%d %H:%M %Z}: {self.reason}"


class Waived(NamedTuple):
    """Violations that remain, and those that an override put aside; the latter belong into the ledger."""

    remaining: list[Violation]
    waived: list[Violation]


def waive(violations: Iterable[Violation], override: Override | None, now: datetime) -> Waived:
    """Put aside the violations that an override may put aside.

    An override whose time is over waives nothing, and is a violation beside the others, so that nobody wonders why.
    """
    found = list(violations)
    if override is None or not found:
        return Waived(found, [])
    if now >= override.until:
        sentence = f"the override of {override.by} ended at {override.until.isoformat()}"
        return Waived(
            [*found, Violation("override-ended", sentence, "Remove it, or give it a new reason and end.")], []
        )
    return Waived(
        [violation for violation in found if violation.code not in WAIVABLE],
        [violation for violation in found if violation.code in WAIVABLE],
    )
