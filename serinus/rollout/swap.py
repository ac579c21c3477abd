"""The end of a rollout, in the words of the stack's file: who is stable, who is on trial, who stays for the way back.

No model is loaded for it and no request is lost: all these releases run already, and the order of the two Ingresses is
the stack's matter. Here is only what to write.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime


class NothingToSwapError(ValueError):
    """The roles don't allow what is asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Releases by their names, empty for none, and the canary's weight in percent."""

    stable: str
    canary: str
    weight: int
    previous: str

    def changes(self, after: "Roles") -> dict[str, str | int]:
        """Return the settings that differ, with their new values."""
        before = asdict(self)
        return {key: value for key, value in asdict(after).items() if value != before[key]}


def finished(roles: Roles) -> Roles:
    """Make the canary the stable release, and keep the old one warm. Raises NothingToSwapError without a canary."""
    if not roles.canary:
        raise NothingToSwapError("there is no canary that could become the stable release")
    return Roles(stable=roles.canary, canary="", weight=0, previous=roles.stable)


def undone(roles: Roles) -> Roles:
    """Go back to the release before, and put the present one on trial again, at 0.

    Raises NothingToSwapError where none is kept.
    """
    if not roles.previous:
        raise NothingToSwapError("no release is kept for the way back: serinus:previous is empty")
    return Roles(stable=roles.previous, canary=roles.stable, weight=0, previous="")


def retired(roles: Roles) -> Roles:
    """Let the release before go."""
    return replace(roles, previous="")


def warm_left(swapped_at: datetime | None, warm_seconds: int, now: datetime) -> float:
    """Return how many seconds the release before must still be kept.

    Without a known moment of the swap that is the whole time: nobody knows that it is over.
    """
    if swapped_at is None:
        return float(warm_seconds)
    return max(0.0, warm_seconds - (now - swapped_at).total_seconds())
