"""What guards would have done in the past: when each would have fired, and whether rightly.

A guard's numbers and how many stand behind them are recorded apart from its limits. So other limits can be tried on the
same record; only another window needs new numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serinus.rollout.alert_guards import Guard
from serinus.rollout.alert_rules import Rule

Series = Mapping[float, float]
"""Values by time, in seconds since 1970. A time without a value is one at which nothing could be said."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time from `start` to `end`, both in it, in seconds since 1970."""

    start: float
    end: float

    def holds(self, time: float) -> bool:
        """Whether a time lies in it."""
        return self.start <= time <= self.end


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a guard would have done: the times it fired; of the bad times, the delays and how many it missed."""

    guard: str
    fired: tuple[Span, ...]
    false_alarms: tuple[Span, ...]
    delays: tuple[float, ...]
    missed: int


def fired(rule: Rule, guard: Guard, values: Series, samples: Series, span: Span, step: int) -> list[Span]:
    """Return when the guard would have fired, looked at every `step` seconds of the span."""
    found: list[Span] = []
    since: float | None = None
    firing = False
    for index in range(int((span.end - span.start) // step) + 1):
        now = span.start + index * step
        if not _violated(rule, values.get(now), samples.get(now)):
            since, firing = None, False
            continue
        since = now if since is None else since
        if now - since < guard.forSeconds:
            continue
        found = [*found[:-1], Span(found[-1].start, now)] if firing else [*found, Span(now, now)]
        firing = True
    return found


def outcome(name: str, fired: Sequence[Span], bad: Sequence[Span]) -> Outcome:
    """Compare when a guard fired with the times that were bad. What began to fire outside them is a false alarm."""
    delays = []
    for one in bad:
        starts = [each.start for each in fired if one.holds(each.start)]
        if starts:
            delays.append(min(starts) - one.start)
    wrong = tuple(each for each in fired if not any(one.holds(each.start) for one in bad))
    return Outcome(name, tuple(fired), wrong, tuple(delays), len(bad) - len(delays))


def read_series(response: object) -> dict[float, float]:
    """Read what Prometheus answers to a range query. Of several series the greatest value counts.

    What is no number is no value. Raises ValueError when the answer is no matrix.
    """
    data = response.get("data") if isinstance(response, Mapping) else None
    result = data.get("result") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or data.get("resultType") != "matrix" or not isinstance(result, list):
        raise ValueError("it is no answer of Prometheus to a range query: there is no matrix in it")
    found: dict[float, float] = {}
    for one in result:
        for sample in one.get("values", []) if isinstance(one, Mapping) else []:
            try:
                time, value = float(sample[0]), float(sample[1])
            except (TypeError, ValueError, IndexError, KeyError):
                continue
            if math.isfinite(time) and not math.isnan(value):
                found[time] = max(value, found.get(time, -math.inf))
    return found


def _violated(rule: Rule, value: float | None, samples: float | None) -> bool:
    if value is None or (rule.limit is not None and not value > rule.limit):
        return False
    return not rule.samples or (samples is not None and samples >= rule.least)
