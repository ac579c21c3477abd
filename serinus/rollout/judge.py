"""The judge of a canary: look by look, is it worse than the stable of the same minutes, and is it good enough to go on?

Two questions, two tests by betting (`wealth`). *Is it worse?* For each objective the canary must be both worse than the
stable by more than the tolerance and over the floor, so neither three errors against none nor an outage of both arms
fails it. Where the stable has too little traffic to compare with, as at weight 100, the limit takes its place. Half of
the money is on regressions of any size, half on a canary that breaks outright (`breakage`); the evidence is averaged
over the objectives. *Is it good enough?* Within the step, the canary's share of bad requests must be shown to be below
the limit, for every objective. Between the two lies what is not known yet.

Health must not become a cushion. So where the canary's bad requests begin, fresh money is bet: it pays for no healthy
past. All the money ever bet sums up to 1, which keeps the promise about alpha.

The promise: for a canary that is not worse, the evidence ever reaches 1/alpha with a probability of at most alpha, in
the whole rollout, however often one looks and whatever the weight. It holds if requests are independent of each other
given the rates of their look, and, for the bet on a break, if the rates stand still for a block of seconds. Against
bursts the counts are shrunk (`dispersion`), which is a heuristic; users who retry what failed are not accounted for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from serinus.rollout.breakage import Breakage, Terms
from serinus.rollout.dispersion import Dispersion, effective
from serinus.rollout.evidence import Arms, Look, Tally
from serinus.rollout.verdict import Verdict
from serinus.rollout.wealth import (
    WORSE,
    Wealth,
    bounded_gains,
    grown,
    mean,
    ratio_gains,
    share_gains,
)

# How much of the limit or the floor the alternatives are that the bets are on.
_OVER_THE_FLOOR = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)
_BELOW_THE_LIMIT = (0.02, 0.1, 0.2, 0.4, 0.6)
_MOST_SHARE = 0.95
# The money of the first bet; the rest is for later ones.
FIRST_STAKE = 0.75
# A canary with this part of the evidence that fails it against it does not go on either.
_SUSPECT = 0.1


@dataclass(frozen=True, slots=True)
class Objective:
    """What is asked of one metric. Shares are of requests.

    tolerance: how many times the stable's share of bad requests the canary's may be.
    floor: a share that is never held against the canary.
    limit: a share that the canary must be shown to be below before it goes on.
    voice: how much its evidence counts beside that of the other objectives.
    """

    tolerance: float = 1.5
    floor: float = 0.01
    limit: float = 0.05
    voice: float = 1.0

    def __post_init__(self) -> None:
        if not (self.tolerance >= 1.0 and 0.0 < self.floor <= self.limit <= 0.5 and 0.0 < self.voice < math.inf):
            raise ValueError(f"{self}: allowed are tolerance >= 1, 0 < floor <= limit <= 0.5 and voice > 0")

    @property
    def over_floor(self) -> list[float]:
        """The shares over the floor that the judge bets on."""
        return [min(times * self.floor, _MOST_SHARE) for times in _OVER_THE_FLOOR]

    @property
    def below_limit(self) -> list[float]:
        """The shares below the limit that the judge bets on."""
        return [part * self.limit for part in _BELOW_THE_LIMIT]


@dataclass(frozen=True, slots=True)
class Charter:
    """The rules of judging one service.

    alpha: the probability of failing a canary that is not worse, and of passing one that is not good enough.
    blind_after: how long telemetry may stay away.
    comparable: the least share of requests that the stable must have to be compared with.
    """

    objectives: Mapping[str, Objective]
    alpha: float = 0.01
    blind_after: timedelta = timedelta(seconds=30)
    comparable: float = 0.1


# What is asked of a service that asks for nothing else. An error weighs more than waiting does.
STANDARD = Charter({"errors": Objective(voice=4.0), "slow": Objective(tolerance=1.0, floor=0.05, limit=0.1)})


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one objective; plain numbers, so that it can be stored and resumed.

    The wealths belong to the whole rollout, the counts and `below_limit` to the step. `alarms` is how often a block of
    the canary's bad requests began, and `restake` that the next look adds fresh money.
    """

    ratio: Wealth = (FIRST_STAKE,) * len(WORSE)
    over_floor: Wealth = (FIRST_STAKE,) * len(_OVER_THE_FLOOR)
    breakage: Breakage = field(default_factory=Breakage)
    below_limit: Tally = field(default_factory=Tally)
    counts: Arms = field(default_factory=Arms)
    dispersion: Dispersion = field(default_factory=Dispersion)
    alarms: int = 0
    restake: bool = False

    @property
    def against(self) -> float:
        """The evidence that the canary is worse: both over the floor and worse than its comparison."""
        return (min(mean(self.over_floor), mean(self.ratio)) + self.breakage.wealth) / 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything the judge remembers of one canary."""

    cases: Mapping[str, Case]
    seen_at: datetime
    failed: str = ""


class Judgement(NamedTuple):
    """A verdict, its reasons, and the evidence against the canary (1/alpha fails it)."""

    verdict: Verdict
    because: str
    against: float


def begin(charter: Charter, now: datetime, before: Trial | None = None) -> Trial:
    """Begin the trial of a new canary; what the trial `before` it has learned of the stable's bursts is kept."""
    known = before.cases if before else {}
    cases = {name: Case(dispersion=known.get(name, Case()).dispersion) for name in charter.objectives}
    return Trial(cases, now)


def begin_step(trial: Trial) -> Trial:
    """Begin a new step: the counts and what they prove start anew; the evidence against the canary stays."""
    cases = {name: replace(case, below_limit=Tally(), counts=Arms()) for name, case in trial.cases.items()}
    return replace(trial, cases=cases)


def look(charter: Charter, trial: Trial, new: Look, now: datetime) -> Trial:
    """Take in what is new. A failure is final: only a new trial ends it."""
    if not new.counts:
        return trial
    cases = {
        name: _heard(charter, charter.objectives[name], case, new.counts.get(name, Arms()), new.seconds)
        for name, case in _cases(charter, trial).items()
    }
    heard = replace(trial, cases=cases, seen_at=now)
    against = _against(charter, heard)
    if not heard.failed and against >= 1.0 / charter.alpha:
        worst = max(cases, key=lambda name: charter.objectives[name].voice * cases[name].against)
        return replace(heard, failed=f"{_told(worst, cases[worst])}; evidence {against:.3g}")
    return heard


def judge(charter: Charter, trial: Trial, now: datetime) -> Judgement:
    """Give the verdict of this moment."""
    against = _against(charter, trial)
    if trial.failed:
        return Judgement(Verdict.FAIL, trial.failed, against)
    silent = now - trial.seen_at
    if silent > charter.blind_after:
        return Judgement(Verdict.BLIND, f"no telemetry for {silent.total_seconds():.0f} s", against)
    cases = _cases(charter, trial)
    open_cases = {
        name: case
        for name, case in cases.items()
        if mean(_passing(charter.objectives[name], case)) < 1.0 / charter.alpha
    }
    told = "; ".join(_told(name, case) for name, case in (open_cases or cases).items())
    if against >= _SUSPECT / charter.alpha:
        return Judgement(Verdict.INSUFFICIENT, f"suspected to be worse than the stable: {told}", against)
    if open_cases:
        return Judgement(Verdict.INSUFFICIENT, f"not shown to be below the limit: {told}", against)
    return Judgement(Verdict.PASS, told, against)


def _heard(charter: Charter, objective: Objective, case: Case, arms: Arms, seconds: float) -> Case:
    correlation = case.dispersion.correlation
    canary = effective(arms.canary, seconds, correlation)
    stable = effective(arms.stable, seconds, correlation)
    if arms.stable.total >= charter.comparable * (arms.stable.total + arms.canary.total):
        ratio = ratio_gains(canary, stable, objective.tolerance)
        terms = Terms(case.dispersion.usual, objective.tolerance, objective.floor)
    else:
        ratio = bounded_gains(arms.canary, objective.limit, len(WORSE))
        terms = Terms(case.dispersion.usual, None, objective.limit)
    alarm = case.breakage.opens(arms.canary)
    fresh = stake(case.alarms) if case.restake else 0.0
    return Case(
        ratio=grown(case.ratio, fresh, ratio),
        over_floor=grown(case.over_floor, fresh, share_gains(canary, objective.floor, objective.over_floor)),
        # Bursts don't make nearly all answers fail, so this bet takes the requests as they are.
        breakage=case.breakage.after(arms, seconds, terms, stake(case.alarms)),
        below_limit=case.below_limit + canary,
        counts=case.counts.plus(arms),
        dispersion=case.dispersion.after(arms.stable, seconds),
        alarms=case.alarms + alarm,
        restake=alarm,
    )


def stake(before: int) -> float:
    """Return what is bet anew after so many times before; all of it sums up to 1."""
    return (1.0 - FIRST_STAKE) / (before * (before + 1)) if before else FIRST_STAKE


def _passing(objective: Objective, case: Case) -> Wealth:
    gains = share_gains(case.below_limit, objective.limit, objective.below_limit)
    return grown((1.0,) * len(gains), 0.0, gains)


def _cases(charter: Charter, trial: Trial) -> dict[str, Case]:
    """Return a case for each objective: a trial that was stored may be older than the charter."""
    return {name: trial.cases.get(name, Case()) for name in charter.objectives}


def _against(charter: Charter, trial: Trial) -> float:
    voices = {name: objective.voice for name, objective in charter.objectives.items()}
    spoken = sum(voices[name] * case.against for name, case in _cases(charter, trial).items())
    return spoken / sum(voices.values())


def _told(name: str, case: Case) -> str:
    canary, stable = case.counts
    return (
        f"{name}: {canary.bad:g} of {canary.total:g} on the canary ({canary.share:.2%}),"
        f" {stable.bad:g} of {stable.total:g} on the stable ({stable.share:.2%})"
    )
