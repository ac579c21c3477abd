"""From counters to evidence: what each arm did since the last look.

Counters of a gateway only grow, until its process restarts. They come from several sources, late, twice or not at all.
So each source is compared with its own last reading, and a reading that brings nothing new counts for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True)
class Tally:
    """So many events, of which so many were bad. Effective counts, see `dispersion`, need not be whole."""

    total: float = 0
    bad: float = 0

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.total < float("inf"):  # false for NaN too
            raise ValueError(f"{self.bad} bad of {self.total} events: a tally counts from 0, and bad events are events")

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.total + other.total, self.bad + other.bad)

    @property
    def share(self) -> float:
        """The share of bad events, 0 where nothing happened."""
        return self.bad / self.total if self.total else 0.0


class Arms(NamedTuple):
    """The canary's tally and the stable's, of one metric over the same time."""

    canary: Tally = Tally()
    stable: Tally = Tally()

    def plus(self, other: Self) -> "Arms":
        """Add both tallies."""
        return Arms(self.canary + other.canary, self.stable + other.stable)


# By the metric's name, such as errors or slow.
Counts = Mapping[str, Arms]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one source as they stood at a moment. A series that does not exist yet stands at 0."""

    at: datetime
    counters: Counts


@dataclass(frozen=True, slots=True)
class Feed:
    """The last reading of each source, and when something new came in last."""

    sources: Mapping[str, Reading]
    fresh_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What is new: the increments since the look before, over so many seconds (0: nothing came in)."""

    seconds: float
    counts: Counts


def take(feed: Feed, readings: Mapping[str, Reading], now: datetime, most_age: timedelta) -> tuple[Feed, Look]:
    """Take in one reading per source and return what is new.

    A source's first reading only sets where its counting begins: what it counted before belongs to other minutes. A
    reading older than `most_age`, from the future, or not newer than the source's last one is left out. So must be, by
    the caller, an answer that was cut short: a series that is missing from it would look like one that began anew.
    """
    new = {
        name: reading
        for name, reading in readings.items()
        if now - most_age <= reading.at <= now and (name not in feed.sources or reading.at > feed.sources[name].at)
    }
    if not new:
        return feed, Look(0.0, {})
    counts: dict[str, Arms] = {}
    for before, after in ((feed.sources[name], reading) for name, reading in new.items() if name in feed.sources):
        for metric, arms in after.counters.items():
            grown = _increment(before.counters.get(metric, Arms()), arms)
            counts[metric] = counts.get(metric, Arms()).plus(grown)
    seconds = 0.0 if feed.fresh_at is None else (now - feed.fresh_at).total_seconds()
    return Feed({**feed.sources, **new}, fresh_at=now), Look(seconds, counts)


def _increment(before: Arms, after: Arms) -> Arms:
    return Arms(_grown(before.canary, after.canary), _grown(before.stable, after.stable))


def _grown(before: Tally, after: Tally) -> Tally:
    if after.total < before.total or after.bad < before.bad:
        return after  # the series began anew at 0
    total = after.total - before.total
    # Two counters are not read in one instant, so the bad events may be a moment ahead.
    return Tally(total, min(after.bad - before.bad, total))
