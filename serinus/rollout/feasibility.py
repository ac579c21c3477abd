"""Can this step show what it is meant to show, and can the cluster carry it? Asked before anything is deployed.

A bake of ten minutes at 5 % of one request a second sees 30 requests of the canary. No judge finds a doubling of 1 %
errors in 30 requests. It is better to say so in the preview than to let a step pass for want of evidence.

The times are those after which the judge's expected evidence is enough. Half of all runs take longer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from serinus.rollout.evidence import Tally
from serinus.rollout.judge import FIRST_STAKE, Charter, Objective
from serinus.rollout.violation import Violation
from serinus.rollout.wealth import grown, mean, ratio_gains, share_gains

_BISECTIONS = 30


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per second over both arms, the canary's weight in percent, and the stable's usual share of bad ones."""

    per_second: float
    weight: int
    usual: float

    def canary(self, share: float) -> Tally:
        """What the canary does in an average second if this share of its requests is bad."""
        total = self.per_second * self.weight / 100.0
        return Tally(total, total * share)

    @property
    def stable(self) -> Tally:
        """What the stable does in an average second."""
        total = self.per_second * (1.0 - self.weight / 100.0)
        return Tally(total, total * self.usual)


def seconds_to_fail(charter: Charter, objective: Objective, traffic: Traffic, share: float) -> float:
    """Return how long the judge takes to fail a canary with this share of bad requests; infinite if it never does."""
    canary = traffic.canary(share)
    # What the judge asks of one objective, out of the half of the stake that it begins with on regressions.
    voices = sum(one.voice for one in charter.objectives.values())
    needed = 2.0 * voices / objective.voice / charter.alpha / FIRST_STAKE
    over_floor = share_gains(canary, objective.floor, objective.over_floor)
    ratio = ratio_gains(canary, traffic.stable, objective.tolerance)
    return max(_seconds(needed, over_floor), _seconds(needed, ratio))


def seconds_to_pass(charter: Charter, objective: Objective, traffic: Traffic) -> float:
    """Return how long the judge takes to pass a canary that does as the stable usually does."""
    gains = share_gains(traffic.canary(traffic.usual), objective.limit, objective.below_limit)
    return _seconds(1.0 / charter.alpha, gains)


def smallest_visible(charter: Charter, objective: Objective, traffic: Traffic, seconds: float) -> float | None:
    """Return the smallest share of bad requests that the judge fails within so many seconds, None if there is none."""
    if seconds_to_fail(charter, objective, traffic, 1.0) > seconds:
        return None
    unseen, seen = traffic.usual, 1.0
    for _ in range(_BISECTIONS):
        middle = (unseen + seen) / 2.0
        if seconds_to_fail(charter, objective, traffic, middle) > seconds:
            unseen = middle
        else:
            seen = middle
    return seen


def check_bake(
    charter: Charter, objective: Objective, traffic: Traffic, bake_seconds: float, worth_seeing: float
) -> list[Violation]:
    """Check that a step is long enough to see a share of `worth_seeing` bad requests, and to pass a healthy canary."""
    found = []
    where = f"a bake of {bake_seconds:.0f} s at {traffic.weight} % of {traffic.per_second:g} requests/s"
    fails = seconds_to_fail(charter, objective, traffic, worth_seeing)
    if fails > bake_seconds:
        least = smallest_visible(charter, objective, traffic, bake_seconds)
        sees = "sees nothing" if least is None else f"sees {least:.1%} at the least"
        found.append(
            Violation(
                "evidence-infeasible",
                f"{where} can't tell {worth_seeing:.1%} of bad requests from {traffic.usual:.1%}: it {sees}",
                f"Bake for {_told(fails)}, raise the weight of the rung, or be content with a larger regression.",
            )
        )
    passes = seconds_to_pass(charter, objective, traffic)
    if passes > bake_seconds:
        found.append(
            Violation(
                "pass-infeasible",
                f"{where} is too short for a healthy canary to be shown below the limit of {objective.limit:.1%}",
                f"Bake for {_told(passes)}, or expect the step to last that long.",
            )
        )
    return found


def check_headroom(weight: int, per_second: float, canary_capacity: float, stable_capacity: float) -> list[Violation]:
    """Check that the canary can carry its weight in percent, and the stable everything if the canary is cut now.

    The demand and both capacities are in requests per second.
    """
    found = []
    share = per_second * weight / 100.0
    if canary_capacity < share:
        found.append(
            Violation(
                "canary-overloaded",
                f"at {weight} % the canary gets {share:g} requests/s and can carry {canary_capacity:g}",
                "Give the canary more replicas before the rise.",
            )
        )
    if stable_capacity < per_second:
        found.append(
            Violation(
                "no-way-back",
                f"the stable can carry {stable_capacity:g} requests/s, a rollback would give it {per_second:g}",
                "Keep the stable's replicas until the canary has taken its place.",
            )
        )
    return found


def _seconds(needed: float, gains: Sequence[float]) -> float:
    """Return when the mean wealth reaches `needed`, if each alternative gains this much in every second."""
    best = max(gains)
    if best <= 0.0:
        return math.inf
    # All alternatives as good as the best would get there at the lower end, the best alone does at the upper one.
    early, late = math.log(needed) / best, math.log(needed * len(gains)) / best
    for _ in range(_BISECTIONS):
        middle = (early + late) / 2.0
        if mean(grown((1.0,) * len(gains), 0.0, [middle * gain for gain in gains])) < needed:
            early = middle
        else:
            late = middle
    return late


def _told(seconds: float) -> str:
    return "longer than any time" if math.isinf(seconds) else f"{math.ceil(seconds)} s"
