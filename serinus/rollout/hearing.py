"""What the agent has heard of one canary: the judge's trial, fed by the gateway's counters, look by look.

Moments here are of a clock that never jumps (`tick`). A wrong wall clock must neither blind nor hasten the judge.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from serinus.rollout.evidence import Arms, Feed, Reading, take
from serinus.rollout.gateway_series import ERRORS, SLOW
from serinus.rollout.judge import Charter, Judgement, Trial, begin, begin_step, judge, look
from serinus.rollout.status import Counts
from serinus.rollout.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Hearing:
    """One canary's trial and what it is fed with.

    stable: the id of the release that it is compared with.
    listened: seconds of the step in which telemetry came in. busy_at: when the canary's requests were counted last.
    expected: the gateway's endpoints that should be heard, each since when.
    """

    canary: str
    stable: str
    charter: Charter
    trial: Trial
    feed: Feed = field(default_factory=lambda: Feed({}))
    heard: bool = False
    listened: float = 0.0
    busy_at: datetime | None = None
    expected: Mapping[str, datetime] = field(default_factory=dict)


def begin_hearing(canary: str, stable: str, charter: Charter, tick: datetime, before: Hearing | None = None) -> Hearing:
    """Begin with nothing held against the canary.

    The counters of the hearing before go on being compared with, and what it learned of the stable's bursts is kept.
    """
    fresh = Hearing(canary, stable, charter, begin(charter, tick))
    # The gateway's series are named after the stable release and counted by the charter's bounds: with others they are
    # other counters.
    if before is None or (before.stable, before.charter) != (stable, charter):
        return fresh
    trial = begin(charter, tick, before.trial)
    return replace(fresh, trial=trial, feed=before.feed, expected=before.expected, heard=before.heard)


def hear(hearing: Hearing, readings: Mapping[str, Reading], expected: Collection[str], tick: datetime) -> Hearing:
    """Take in one reading per endpoint of the gateway; `expected` are the endpoints that there are."""
    feed, new = take(hearing.feed, readings, tick, hearing.charter.blind_after)
    gone = [name for name in feed.sources if name not in expected]
    feed = replace(feed, sources={name: one for name, one in feed.sources.items() if name not in gone})
    since = {name: hearing.expected.get(name, tick) for name in expected}
    if not new.counts:
        return replace(hearing, feed=feed, expected=since)
    busy = new.counts.get(ERRORS, Arms()).canary.total > 0
    return replace(
        hearing,
        feed=feed,
        trial=look(hearing.charter, hearing.trial, new, tick),
        heard=True,
        listened=hearing.listened
        + (new.seconds if new.seconds <= hearing.charter.blind_after.total_seconds() else 0.0),
        busy_at=tick if busy else hearing.busy_at,
        expected=since,
    )


def begin_hearing_of_step(hearing: Hearing) -> Hearing:
    """Begin a new step: its counts and its time start anew."""
    return replace(hearing, trial=begin_step(hearing.trial), listened=0.0)


def verdict(hearing: Hearing, tick: datetime) -> Judgement:
    """Give the verdict of this moment. Whom one endpoint of the gateway serves unheard nobody can judge."""
    found = judge(hearing.charter, hearing.trial, tick)
    if found.verdict is Verdict.FAIL:
        return found
    if not hearing.heard:
        return found._replace(verdict=Verdict.BLIND, because="the gateway's counters were not read yet")
    silent = sorted(name for name, since in hearing.expected.items() if _silence(hearing, name, since, tick))
    if silent:
        return found._replace(verdict=Verdict.BLIND, because=f"the gateway at {', '.join(silent)} can't be read")
    return found


def counts(hearing: Hearing) -> tuple[Counts, Counts]:
    """Return what the canary and the stable did in this step."""
    cases = hearing.trial.cases
    errors = cases[ERRORS].counts if ERRORS in cases else Arms()
    slow = cases[SLOW].counts if SLOW in cases else Arms()
    canary, stable = (
        # The two metrics are not read in one instant, so one may be a request ahead.
        Counts(requests=round(all_.total), errors=round(all_.bad), slow=min(round(late.bad), round(all_.total)))
        for all_, late in zip(errors, slow, strict=True)
    )
    return canary, stable


def _silence(hearing: Hearing, name: str, since: datetime, tick: datetime) -> bool:
    last = hearing.feed.sources[name].at if name in hearing.feed.sources else since
    return tick - last > hearing.charter.blind_after
