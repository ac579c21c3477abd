"""The bet on a canary that breaks outright: it must be noticed within a few answers, however long it was healthy.

The bet is that nearly all of the canary's requests fail while the stable does as usual. It is placed at the canary's
first bad answer and not before, so that healthy hours cost nothing. That answer is not paid for: it is what made us
bet. All that follows is one block, so that it does not matter how the answers fall into looks. A block that wins goes
on; one that loses is over after a few seconds, and the next bad answer begins another with what is left.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from serinus.rollout.evidence import Arms, Tally
from serinus.rollout.wealth import MOST_GAIN, MOST_WEALTH

# A canary that breaks outright fails nearly all of its requests.
BROKEN = 0.95
BLOCK_SECONDS = 5.0
LONGEST_SECONDS = 60.0


class Terms(NamedTuple):
    """What a block is about, settled before it begins. Shares are of requests.

    usual: the stable's share of bad requests. tolerance: how many times the stable's share the canary's may be, None
    where the stable has too few requests to compare with. bound: a share that is not held against the canary.
    """

    usual: float
    tolerance: float | None
    bound: float


@dataclass(frozen=True, slots=True)
class Block:
    """What is counted since a first bad answer, over so many seconds, and how much was bet on it."""

    staked: float
    terms: Terms
    seconds: float
    arms: Arms


@dataclass(frozen=True, slots=True)
class Breakage:
    """The money, and the block that it is bet on, None while the canary gives no reason."""

    wealth: float = 0.0
    block: Block | None = None

    def opens(self, canary: Tally) -> bool:
        """Return whether a look with this tally begins a block."""
        return self.block is None and canary.bad >= 1.0

    def after(self, arms: Arms, seconds: float, terms: Terms, fresh: float) -> "Breakage":
        """Take in one look; `terms` and `fresh` money count if it begins a block."""
        if self.block:
            open_ = self.block
            return _played(Block(open_.staked, open_.terms, open_.seconds + seconds, open_.arms.plus(arms)))
        if not self.opens(arms.canary):
            return self
        after_the_first = Tally(arms.canary.total - 1.0, arms.canary.bad - 1.0)
        return _played(Block(self.wealth + fresh, terms, seconds, Arms(after_the_first, arms.stable)))


def _played(block: Block) -> Breakage:
    # Where in its look the first bad answer came is not known, so the good ones before it count too. If bad answers
    # have the probability p, the n of that look let the factor without BROKEN gain p·(1-(1-BROKEN)^n)/BROKEN on
    # average, and (1-p)^n where nothing is bet: with BROKEN no more than p + (1-p) in all.
    factor = BROKEN * math.exp(min(log_factor(block.arms, block.terms), MOST_GAIN))
    lost = factor < 1.0 and block.seconds >= BLOCK_SECONDS
    wealth = min(block.staked * factor, MOST_WEALTH)
    return Breakage(wealth, None if lost or block.seconds >= LONGEST_SECONDS else block)


def log_factor(arms: Arms, terms: Terms) -> float:
    """Bet against: the canary is within the tolerance or under the bound, at rates that do not change in the block.

    The factor is the likelihood of the one alternative over the greatest likelihood under the hypothesis, so its
    expectation under any member of the hypothesis is at most 1. Unlike `ratio_gains` it uses the stable's good requests
    too, which decide within a few failures; small differences are lost in it.
    """
    canary, stable = arms
    bounded = _log_likelihood(canary, min(canary.share, terms.bound))
    if terms.tolerance is None:
        return _log_likelihood(canary, BROKEN) - bounded
    innocent = max(
        bounded + _log_likelihood(stable, stable.share), _log_likelihood_within(canary, stable, terms.tolerance)
    )
    return _log_likelihood(canary, BROKEN) + _log_likelihood(stable, terms.usual) - innocent


def _log_likelihood_within(canary: Tally, stable: Tally, tolerance: float) -> float:
    """Return the greatest log likelihood of both arms with the canary's rate within the tolerance."""
    if canary.share <= tolerance * stable.share:
        return _log_likelihood(canary, canary.share) + _log_likelihood(stable, stable.share)
    # On the border the canary's rate is k·p. The derivative vanishes at the smaller root of
    # k·n·p² - ((1+k)·bad + k·good_c + good_s)·p + bad = 0, with n and bad over both arms.
    bad = canary.bad + stable.bad
    total = canary.total + stable.total
    middle = (1.0 + tolerance) * bad + tolerance * (canary.total - canary.bad) + stable.total - stable.bad
    root = math.sqrt(max(middle * middle - 4.0 * tolerance * total * bad, 0.0))
    rate = 2.0 * bad / (middle + root)
    return _log_likelihood(canary, min(tolerance * rate, 1.0)) + _log_likelihood(stable, rate)


def _log_likelihood(tally: Tally, share: float) -> float:
    good = tally.total - tally.bad
    return _times_log(tally.bad, share) + _times_log(good, 1.0 - share)


def _times_log(count: float, probability: float) -> float:
    if count <= 0.0:
        return 0.0
    return count * math.log(probability) if probability > 0.0 else -math.inf
