"""How much less than independent the requests are: the design effect of bursts.

Errors come in bursts: a full queue, a slow disk, one user's loop. Then n requests say less than n independent ones,
and a judge that believes them all sees differences that are none. The stable arm shows how bursty this traffic is: by
how much its counts per block scatter more than chance explains. This is a heuristic; it rests on the stable's recent
past.
"""

import math
from dataclasses import dataclass, field

from serinus.rollout.evidence import Tally

BLOCK_SECONDS = 15.0  # bursts within a block are seen, slower ones are not
MEMORY_BLOCKS = 240.0  # an hour
ENOUGH_BLOCKS = 20.0  # five minutes
ASSUMED_CORRELATION = 0.05  # until then: strong bursts, so that a new service is judged with care
_CLEAR_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Decayed sums over the stable's blocks, and the block that is not full yet."""

    blocks: float = 0.0
    total: float = 0.0
    bad: float = 0.0
    bad_squared_by_total: float = 0.0
    open_seconds: float = 0.0
    open: Tally = field(default_factory=Tally)

    def after(self, stable: Tally, seconds: float) -> "Dispersion":
        """Take in the stable's tally of one look."""
        block, elapsed = self.open + stable, self.open_seconds + seconds
        if elapsed < BLOCK_SECONDS:
            return Dispersion(self.blocks, self.total, self.bad, self.bad_squared_by_total, elapsed, block)
        keep = 1.0 - 1.0 / MEMORY_BLOCKS
        if not block.total:
            return Dispersion(self.blocks, self.total, self.bad, self.bad_squared_by_total)
        return Dispersion(
            keep * self.blocks + 1.0,
            keep * self.total + block.total,
            keep * self.bad + block.bad,
            keep * self.bad_squared_by_total + block.bad**2 / block.total,
        )

    @property
    def usual(self) -> float:
        """The stable's usual share of bad requests, as if 1 in 100 had been bad before anything was seen."""
        return (self.bad + 0.5) / (self.total + 50.0)

    @property
    def correlation(self) -> float:
        """The correlation of two requests of one block.

        It is 0 unless the scatter is clearly more than chance, but at least `ASSUMED_CORRELATION` while little is seen.
        """
        least = ASSUMED_CORRELATION if self.blocks < ENOUGH_BLOCKS else 0.0
        return max(self._estimate(), least)

    def _estimate(self) -> float:
        mean = self.bad / self.total if self.total else 0.0
        if self.blocks <= 1.0 or self.total <= self.blocks or not 0.0 < mean < 1.0:
            return 0.0
        # Pearson's statistic per degree of freedom: the sum of (bad - n·p)² / (n·p·(1-p)), multiplied out.
        scatter = self.bad_squared_by_total - mean * self.bad
        excess = scatter / (mean * (1.0 - mean)) / (self.blocks - 1.0) - 1.0
        if excess <= _CLEAR_DEVIATIONS * math.sqrt(2.0 / self.blocks):
            return 0.0
        return min(excess / (self.total / self.blocks - 1.0), 1.0)


def effective(tally: Tally, seconds: float, correlation: float) -> Tally:
    """Shrink a look's tally to as many independent requests as it is worth.

    `seconds` is the length of the look: at the same pace a block holds `BLOCK_SECONDS / seconds` times as many.
    """
    if not correlation or not seconds:
        return tally
    in_block = tally.total * max(BLOCK_SECONDS / seconds, 1.0)
    effect = 1.0 + max(in_block - 1.0, 0.0) * correlation
    return Tally(tally.total / effect, tally.bad / effect)
