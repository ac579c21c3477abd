"""How long each part of a rollback took, from a fault that was injected on purpose to the last user on the canary."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Heard(NamedTuple):
    """One answer of the drill's own traffic: when it came, in Unix seconds, and what it was."""

    at: float
    on_canary: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """The moments of a drill in Unix seconds; None for what did not come.

    `decided` is by the agent's clock, all others by that of whoever drills.
    """

    injected: float
    first_failed: float | None = None
    decided: float | None = None
    cut: float | None = None
    last_on_canary: float | None = None
    failed_answers: int = 0

    @property
    def over(self) -> bool:
        """Whether the canary was cut."""
        return self.cut is not None

    def segments(self) -> dict[str, float | None]:
        """Return the seconds of each part; None where one of its ends is missing. Clocks that differ give no minus."""
        return {
            "fault": _between(self.injected, self.first_failed),
            "detect_and_decide": _between(self.first_failed, self.decided),
            "cut": _between(self.decided, self.cut),
            "seen": _between(self.cut, self.last_on_canary),
            "total": _between(self.first_failed, self.last_on_canary),
        }


def timeline(injected: float, heard: Iterable[Heard], decided: float | None, cut: float | None) -> Timeline:
    """Join what was heard with when it was decided and cut. What failed before the injection is no part of it."""
    after = [one for one in heard if one.at >= injected and (one.failed or one.on_canary)]
    failed = [one.at for one in after if one.failed]
    on_canary = [one.at for one in after if one.on_canary or one.failed]
    return Timeline(
        injected=injected,
        first_failed=min(failed, default=None),
        decided=decided,
        cut=cut,
        last_on_canary=max(on_canary, default=None),
        failed_answers=len(failed),
    )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(max(end - start, 0.0), 3)
