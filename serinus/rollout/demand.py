"""What somebody demands of the agent from outside: an alert that fires, or a person with a reason.

A demand only ever takes traffic away or keeps it from growing. There is none that raises a weight.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What is to be done, the strongest first."""

    ROLLBACK = "rollback"  # to zero at once, and a hold
    HOLD = "hold"  # no rise until somebody resumes
    NOTIFY = "notify"  # tell people, change nothing


@dataclass(frozen=True, slots=True)
class Demand:
    """One demand. `by` is a person or `alert <name>`; two demands with one `fingerprint` are the same one.

    `at` is when it arose, by the clock of whoever demands, with its zone.
    """

    service: str
    action: Action
    reason: str
    by: str
    fingerprint: str
    at: datetime
