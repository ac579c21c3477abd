"""Tests by betting: evidence that may be looked at any number of times.

A bet against a hypothesis is fair if, were the hypothesis true, no strategy gained from it on average. Start with 1,
bet again and again: under the hypothesis the wealth reaches 1/alpha with a probability of at most alpha, whenever one
looks (Ville's inequality). So a wealth of 100 is evidence at 1 %, with no minimum of requests and no fixed number of
looks.

Every `*_gains` function below returns the logarithms of a look's factors, one per alternative that is bet on, each
factor with an expectation of at most 1 under the hypothesis. Requests of one look are taken as independent given the
past, and how many there are must not depend on how they end. Rates may drift from look to look.
"""

import math
from collections.abc import Sequence

from serinus.rollout.evidence import Tally

# Worse by these factors than what is tolerated.
WORSE = (1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0)
MOST_GAIN = 300.0  # a factor of e^300 is proof enough, and does not overflow
MOST_WEALTH = 1e150

Wealth = tuple[float, ...]


def grown(wealth: Wealth, fresh: float, gains: Sequence[float]) -> Wealth:
    """Play one look with each alternative's wealth after adding `fresh` to it.

    Whoever adds must have decided it before the look, and adds no more than 1 in all. Adding late is how a canary that
    was healthy for hours can still be caught in seconds: the wealth that its health has cost is replaced.
    """
    return tuple(
        min((own + fresh) * math.exp(min(gain, MOST_GAIN)), MOST_WEALTH)
        for own, gain in zip(wealth, gains, strict=True)
    )


def mean(wealth: Wealth) -> float:
    """Return the wealth of spreading one stake evenly over the alternatives."""
    return sum(wealth) / len(wealth)


def ratio_gains(canary: Tally, stable: Tally, tolerance: float) -> list[float]:
    """Bet against: the canary's rate of bad requests is at most `tolerance` times the stable's of the same look.

    With n requests per arm and rates c ≤ k·s, a bad request is the canary's with odds of at most k·n_c : n_s. Betting
    on the odds r·n_c : n_s instead pays r/k on each bad request of the canary and costs (r·n_c+n_s)/(k·n_c+n_s) on
    each bad one of either arm. Its expectation is at most exp(s·(k·n_c·(a-1) + n_s·(b-1))) with payments a and b,
    since 1+x ≤ e^x, and the exponent is 0 because k·n_c·a + n_s·b = k·n_c + n_s.
    """
    expected = tolerance * canary.total + stable.total
    if not expected:
        return [0.0] * len(WORSE)
    bad = canary.bad + stable.bad
    return [
        canary.bad * math.log(factor) - bad * math.log((factor * tolerance * canary.total + stable.total) / expected)
        for factor in WORSE
    ]


def share_gains(canary: Tally, bound: float, alternatives: Sequence[float]) -> list[float]:
    """Bet on each alternative share of bad requests against the share `bound`.

    With alternatives above the bound the hypothesis is "at most the bound", with alternatives below it "at least".
    """
    good = canary.total - canary.bad
    return [
        canary.bad * math.log(share / bound) + good * math.log((1.0 - share) / (1.0 - bound)) for share in alternatives
    ]


def bounded_gains(canary: Tally, bound: float, alternatives: int) -> list[float]:
    """Bet against: the expected share of bad requests of a look is at most `bound`, however they hang together.

    The alternatives risk evenly spaced parts of their wealth, none of them all.
    """
    if not canary.total:
        return [0.0] * alternatives
    return [
        math.log1p(part / (alternatives + 1.0) * (canary.share - bound) / bound) for part in range(1, alternatives + 1)
    ]
