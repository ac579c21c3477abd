"""What a stack asks of its canary: the objectives that the judge holds it to."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from serinus.rollout.gateway_series import ERRORS, SLOW
from serinus.rollout.judge import STANDARD, Charter, Objective
from serinus.rollout.record import Record

Share = Annotated[float, Field(ge=0.000001, le=0.5, description="a share of requests above 0, up to 0.5")]
_USUAL = Objective()


class Limits(Record):
    """How many bad requests are too many."""

    tolerance: float = Field(
        default=_USUAL.tolerance, ge=1.0, le=100.0, description="times the stable's share, 1 or more"
    )
    floor: Share = Field(default=_USUAL.floor, description="a share that is never held against the canary, up to limit")
    limit: Share = Field(default=_USUAL.limit, description="a share that the canary must be shown to stay below")

    @model_validator(mode="after")
    def _floor_below_limit(self) -> Self:
        if self.floor > self.limit:
            raise ValueError(f"the floor {self.floor} is above the limit {self.limit}")
        return self

    def objective(self, voice: float) -> Objective:
        """Return what the judge is given; `voice` is how much its evidence counts beside the others."""
        return Objective(tolerance=self.tolerance, floor=self.floor, limit=self.limit, voice=voice)


class SlowLimits(Limits):
    """How many slow answers are too many."""

    seconds: float = Field(
        ge=0.001,
        le=3600.0,
        description="who takes longer is slow; one of the bounds of the gateway's metrics",
    )


class Objectives(Record):
    """What is asked of one service. Without `slow` only errors are judged."""

    errors: Limits = Limits()
    slow: SlowLimits | None = None

    @property
    def slow_seconds(self) -> float | None:
        """From when on an answer is slow, in seconds."""
        return self.slow.seconds if self.slow else None

    def charter(self, blind_after: timedelta) -> Charter:
        """Return the judge's rules; `blind_after` is how long telemetry may stay away."""
        voices = {name: one.voice for name, one in STANDARD.objectives.items()}
        asked = {ERRORS: self.errors.objective(voices[ERRORS])}
        if self.slow:
            asked[SLOW] = self.slow.objective(voices[SLOW])
        return Charter(asked, blind_after=blind_after)
