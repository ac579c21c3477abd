"""The ladder: the weights in order, and the rule that no rise skips one.

Each rung is evidence for the next: this many users saw the canary, for this long, with this outcome. A jump past a
rung would go on without the evidence.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serinus.rollout.violation import Violation

# The admission policy compares every rung with its neighbour; the API server's cost budget wants a bound.
MOST_RUNGS = 20


class Rung(BaseModel):
    """One step. Seconds count from the moment the weight was seen at the gateway."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    weight: int = Field(ge=1, le=100, description="percent of users on the canary, an integer from 1 to 100")
    bake_seconds: int = Field(default=0, ge=0, description="seconds a step lasts before the next rise, 0 or more")
    approval: bool = Field(default=False, description="true if a person must approve the rise to this rung")


class Ladder(BaseModel):
    """Strictly rising rungs that end at 100."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rungs: Annotated[tuple[Rung, ...], Field(strict=False)] = Field(
        description=f"1 to {MOST_RUNGS} rungs with strictly rising weights, the last of them 100"
    )

    @model_validator(mode="after")
    def _rises_to_100(self) -> Self:
        weights = self.weights
        if not 1 <= len(weights) <= MOST_RUNGS:
            raise ValueError(f"a ladder has 1 to {MOST_RUNGS} rungs, this one has {len(weights)}")
        if any(upper <= lower for lower, upper in pairwise(weights)):
            raise ValueError(f"the weights of a ladder rise strictly, these do not: {list(weights)}")
        if weights[-1] != 100:
            raise ValueError(f"the last rung of a ladder is 100, this one ends at {weights[-1]}")
        return self

    @classmethod
    def of(cls, weights: Iterable[int]) -> Self:
        """Build a ladder of these weights, without bake times and approvals."""
        return cls(rungs=tuple(Rung(weight=weight) for weight in weights))

    @property
    def weights(self) -> tuple[int, ...]:
        """The weights of the rungs, lowest first."""
        return tuple(rung.weight for rung in self.rungs)

    def next_rung(self, weight: int) -> Rung | None:
        """Return the first rung above `weight`, or None at the top."""
        return next((rung for rung in self.rungs if rung.weight > weight), None)

    def rung_at(self, weight: int) -> Rung | None:
        """Return the rung whose weight is exactly `weight`, or None between rungs."""
        return next((rung for rung in self.rungs if rung.weight == weight), None)


def check_jump(ladder: Ladder, old: int | None, new: int) -> list[Violation]:
    """Check a change of weight against the ladder alone; an empty list allows it.

    A decrease, or no change, is always allowed. A rise must land on the next rung above `old`. `old` None means that
    no weight was ever seen, which counts as 0. Weights are percents from 0 to 100.
    """
    seen = old or 0
    if not 0 <= new <= 100:
        sentence = f"the weight {new} is not a percentage"
        return [Violation("weight-out-of-range", sentence, "Set a weight from 0 to 100.")]
    upper = ladder.next_rung(seen)
    if new <= seen or upper is None or new == upper.weight:
        return []
    remedy = f"Set the weight to {upper.weight}, the next rung of {list(ladder.weights)}, or to anything up to {seen}."
    refused = f"the weight may not rise from {seen} to {new}"
    if new > upper.weight:
        return [Violation("skipped-rung", f"{refused}: this skips the rung {upper.weight}", remedy)]
    return [Violation("not-a-rung", f"{refused}: {new} is not a rung of the ladder", remedy)]
