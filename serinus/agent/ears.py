"""What one service hears of a look at the gateway: its own counters, from each endpoint that shows them.

Between two looks most services do nothing, and then their lines are the same: they are read once.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from serinus.agent.gateway import Sample
from serinus.agent.place import Place
from serinus.agent.telemetry import Seen
from serinus.rollout.evidence import Counts, Reading
from serinus.rollout.gateway_series import GarbageError, Lines, Names, lines_of, names, read

_log = logging.getLogger(__name__)


def ticking() -> datetime:
    """Return a moment of the clock that never jumps; only differences mean anything."""
    return datetime.fromtimestamp(time.monotonic(), UTC)


class _Counted(NamedTuple):
    """What an endpoint showed last, and what it was read by."""

    arms: Names
    slow_seconds: float | None
    lines: tuple[Sequence[str], Sequence[str]]
    counts: Counts


class Ears:
    """The newest reading of each endpoint of the gateway, and which endpoints there are."""

    def __init__(self, place: Place, seen: Seen) -> None:
        self._place = place
        self._seen = seen
        self._counted: dict[str, _Counted] = {}
        self.readings: dict[str, Reading] = {}
        self.expected: tuple[str, ...] = ()

    def hear(self, sample: Sample, stable: str | None, slow_seconds: float | None) -> None:
        """Take in a look. `stable` is the release after which the counters are named, None while it is not known."""
        self.expected = sample.expected
        self.readings = {name: one for name, one in self.readings.items() if name in sample.expected}
        self._counted = {name: one for name, one in self._counted.items() if name in sample.expected}
        if stable is None:
            return
        at, arms = ticking(), names(self._place.namespace, self._place.service, stable)
        for name, lines in sample.lines.items():
            counts = self._count(name, lines, arms, slow_seconds)
            if counts is not None:
                self.readings[name] = Reading(at, counts)

    def forget(self) -> None:
        """Forget what was read: by other names they are other counters."""
        self.readings.clear()

    def _count(self, name: str, lines: Lines, arms: Names, slow_seconds: float | None) -> Counts | None:
        own = lines_of(lines, arms)
        before = self._counted.get(name)
        if before is not None and before[:3] == (arms, slow_seconds, own):
            return before.counts
        try:
            counts = read(lines, arms, slow_seconds)
        except GarbageError as error:
            self._seen.garbage.inc()
            told = {"service": str(self._place), "gateway": name, "why": str(error)}
            _log.warning("the gateway's page is no reading", extra=told)
            return None
        self._counted[name] = _Counted(arms, slow_seconds, own, counts)
        return counts
