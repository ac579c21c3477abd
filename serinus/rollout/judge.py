"""The judge of a canary: look by look, is it worse than the stable of the same minutes, and is it good enough to go on?

Two questions, two tests by betting (`wealth`). *Is it worse?* For each objective the canary must be both worse than the
stable by more than the tolerance and over the floor, so neither three errors against none nor an outage of both arms
fails it. Where the stable has too little traffic to compare with, as at weight 100, the limit takes its place. The
evidence is averaged over the objectives. For a canary that is not worse it ever reaches 1/alpha, in the whole rollout,
with a probability of at most alpha. *Is it good enough?* Within the step, the canary's share of bad requests must be
shown to be below the limit, for every objective. Between the two lies what is not known yet.

Health must not become a cushion. So after each look in which the canary had a bad request, fresh money is bet from
there
on: it pays for no healthy past. All the money ever bet sums up to 1, which keeps the promise about alpha.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from serinus.rollout.dispersion import Dispersion, effective
from serinus.rollout.evidence import Arms, Look, Tally
from serinus.rollout.verdict import Verdict
from serinus.rollout.wealth import (
    WORSE,
    Wealth,
    bounded_gains,
    broken_gains,
    grown,
    mean,
    ratio_gains,
    share_gains,
)

# How much of the limit or the floor the alternatives are that the bets are on.
_OVER_THE_FLOOR = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)
_BELOW_THE_LIMIT = (0.02, 0.1, 0.2, 0.4, 0.6)
_MOST_SHARE = 0.95
# A canary with this part of the evidence that fails it against it does not go on either.
_SUSPECT = 0.1


@dataclass(frozen=True, slots=True)
class Objective:
    """What is asked of one metric. Shares are of requests.

    tolerance: how many times the stable's share of bad requests the canary's may be.
    floor: a share that is never held against the canary.
    limit: a share that the canary must be shown to be below before it goes on.
    """

    tolerance: float = 1.5
    floor: float = 0.01
    limit: float = 0.05

    def __post_init__(self) -> None:
        if not (self.tolerance >= 1.0 and 0.0 < self.floor <= self.limit <= 0.5):
            raise ValueError(f"{self}: allowed are tolerance >= 1 and 0 < floor <= limit <= 0.5")

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


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one objective; plain numbers, so that it can be stored and resumed.

    The wealths belong to the whole rollout, the counts and `proven` to the step. `stakes` is how often fresh money was
    added, and `restake` that the next look adds some.
    """

    ratio: Wealth = (0.0,) * len(WORSE)
    broken: Wealth = (0.0,)
    over_floor: Wealth = (0.0,) * len(_OVER_THE_FLOOR)
    below_limit: Tally = field(default_factory=Tally)
    counts: Arms = field(default_factory=Arms)
    dispersion: Dispersion = field(default_factory=Dispersion)
    stakes: int = 0
    restake: bool = True

    @property
    def against(self) -> float:
        """The evidence that the canary is worse: both over the floor and worse than its comparison."""
        return min(mean(self.over_floor), (mean(self.ratio) + mean(self.broken)) / 2.0)


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


def begin(charter: Charter, now: datetime) -> Trial:
    """Begin the trial of a new canary."""
    return Trial({name: Case() for name in charter.objectives}, now)


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
        for name, case in trial.cases.items()
    }
    heard = replace(trial, cases=cases, seen_at=now)
    if not heard.failed and _against(heard) >= 1.0 / charter.alpha:
        worst = max(cases, key=lambda name: cases[name].against)
        return replace(heard, failed=f"{_told(worst, cases[worst])}; evidence {_against(heard):.3g}")
    return heard


def judge(charter: Charter, trial: Trial, now: datetime) -> Judgement:
    """Give the verdict of this moment."""
    against = _against(trial)
    if trial.failed:
        return Judgement(Verdict.FAIL, trial.failed, against)
    silent = now - trial.seen_at
    if silent > charter.blind_after:
        return Judgement(Verdict.BLIND, f"no telemetry for {silent.total_seconds():.0f} s", against)
    open_cases = {
        name: case
        for name, case in trial.cases.items()
        if mean(_passing(charter.objectives[name], case)) < 1.0 / charter.alpha
    }
    told = "; ".join(_told(name, case) for name, case in (open_cases or trial.cases).items())
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
        # Bursts don't make nearly all answers fail, so this bet takes the requests as they are.
        broken = broken_gains(*arms, objective.tolerance, case.dispersion.usual)
    else:
        ratio = bounded_gains(arms.canary, objective.limit, len(WORSE))
        broken = bounded_gains(arms.canary, objective.limit, 1)
    fresh = stake(case.stakes) if case.restake else 0.0
    return Case(
        ratio=grown(case.ratio, fresh, ratio),
        broken=grown(case.broken, fresh, broken),
        over_floor=grown(case.over_floor, fresh, share_gains(canary, objective.floor, objective.over_floor)),
        below_limit=case.below_limit + canary,
        counts=case.counts.plus(arms),
        dispersion=case.dispersion.after(arms.stable, seconds),
        stakes=case.stakes + case.restake,
        restake=arms.canary.bad > 0,
    )


def stake(before: int) -> float:
    """Return what is added after so many times before; all of it sums up to 1."""
    return 1.0 / ((before + 1) * (before + 2))


def _passing(objective: Objective, case: Case) -> Wealth:
    gains = share_gains(case.below_limit, objective.limit, objective.below_limit)
    return grown((1.0,) * len(gains), 0.0, gains)


def _against(trial: Trial) -> float:
    return mean(tuple(case.against for case in trial.cases.values()))


def _told(name: str, case: Case) -> str:
    canary, stable = case.counts
    return (
        f"{name}: {canary.bad:g} of {canary.total:g} on the canary ({canary.share:.2%}),"
        f" {stable.bad:g} of {stable.total:g} on the stable ({stable.share:.2%})"
    )
