"""The ladder: the weights in order, and the rule that no rise skips one.

Each rung is evidence for the next: this many users saw the canary, for this long, with this outcome. A jump past a
rung would go on without the evidence.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serinus.rollout.rules import LADDER, LADDER_RULES, NEW, NEXT_RUNG, OLD, ON_A_RUNG, Facts, refusals
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

    def last_rung(self, weight: int) -> Rung | None:
        """Return the last rung at or below `weight`, or None below the first."""
        return next((rung for rung in reversed(self.rungs) if rung.weight <= weight), None)


def ladder_facts(ladder: Ladder, old: int, new: int) -> Facts:
    """Return what the ladder's rules look at for a change of the weight from `old` to `new`, both in percent."""
    upper = ladder.next_rung(old)
    return {
        OLD: old,
        NEW: new,
        NEXT_RUNG: upper.weight if upper else 100,
        LADDER: str(list(ladder.weights)),
        ON_A_RUNG: new in ladder.weights,
    }


def check_jump(ladder: Ladder, old: int | None, new: int) -> list[Violation]:
    """Check a change of weight against the ladder alone; an empty list allows it.

    A decrease, or no change, is always allowed. A rise must land on the next rung above `old`. `old` None means that
    no weight was ever seen, which counts as 0. Weights are percents.
    """
    return refusals(LADDER_RULES, ladder_facts(ladder, old or 0, new))
