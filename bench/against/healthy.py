"""What speed costs: how often is a healthy canary rolled back, by each rule and by the judge at its default?

Simulated hours of 10 requests a second at weight 20, where 1 % of the answers of both arms fail. All rules see the same
hours: the judge looks each second, the others ask for the share of 15 seconds as often as their controllers do.
"""

from collections.abc import Mapping
from datetime import timedelta
from random import Random

from bench.judge import HOUR, START, binomial, poisson
from serinus.rollout.evidence import Arms, Look, Tally
from serinus.rollout.gateway_series import ERRORS
from serinus.rollout.judge import begin, look
from serinus.rollout.objectives import Objectives

USUAL = 0.01
LIMIT = 0.05
WINDOW = 15
_CANARY, _STABLE = 2.0, 8.0


def rolled_back(hours: int, every: Mapping[str, int], seed: int = 1) -> dict[str, float]:
    """Return the share of hours in which a healthy canary was rolled back, by name. `every`: seconds between looks."""
    random = Random(seed)  # noqa: S311 (a simulation that can be repeated)
    found = dict.fromkeys(["serinus", *every], 0)
    for _ in range(hours):
        canary, stable = ([_second(random, rate) for _ in range(int(HOUR))] for rate in (_CANARY, _STABLE))
        found["serinus"] += judged(canary, stable)
        for name, seconds in every.items():
            found[name] += passed(canary, seconds)
    return {name: count / hours for name, count in found.items()}


def judged(canary: list[Tally], stable: list[Tally]) -> bool:
    """Tell whether the judge fails the canary in this hour."""
    charter = Objectives().charter(timedelta(seconds=30))
    trial = begin(charter, START)
    for second, arms in enumerate(zip(canary, stable, strict=True)):
        trial = look(charter, trial, Look(1.0, {ERRORS: Arms(*arms)}), START + timedelta(seconds=second + 1))
        if trial.failed:
            return True
    return False


def passed(canary: list[Tally], every: int) -> bool:
    """Tell whether the share of failed answers in some window is above the limit at a look."""
    for end in range(WINDOW, len(canary), every):
        window = canary[end - WINDOW : end]
        total, bad = sum(one.total for one in window), sum(one.bad for one in window)
        if total and bad / total > LIMIT:
            return True
    return False


def _second(random: Random, rate: float) -> Tally:
    total = poisson(random, rate)
    return Tally(total, binomial(random, total, USUAL))
