"""The absolute limits of a canary: what each guard looks at, when it fires and what is to be done then.

The judge compares a canary with the stable release. A guard knows one number and no other release: it is the limit
that nobody wants passed, whatever the stable release does. All of them are settings; what stands here are the defaults.
"""

# ruff: noqa: N815 - fields are named as their keys are written in Pulumi.<stack>.yaml

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serinus.rollout.demand import Action

OFF = "off"
DAY_SECONDS = 86_400


class Guard(BaseModel):
    """One limit. It fires when `threshold` was passed in the last `windowSeconds` for as long as `forSeconds`.

    With fewer than `minSamples` requests or answers in the window it is silent: a share of three says nothing.
    """

    # Numbers that come through Pulumi are floats, and a whole one is an integer all the same.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threshold: float = Field(ge=0, description="a number, 0 or more; a share is 0.05 for 5 %")
    windowSeconds: int = Field(ge=10, le=DAY_SECONDS, description="seconds, 10 to 86400")
    forSeconds: int = Field(ge=0, le=DAY_SECONDS, description="seconds, 0 to 86400")
    minSamples: int = Field(ge=0, le=10**9, description="an integer, 0 or more")
    action: Literal["rollback", "hold", "notify", "off"] = Field(description="rollback, hold, notify or off")

    @property
    def wanted(self) -> Action | None:
        """What is to be done when it fires; None where the guard is off."""
        return None if self.action == OFF else Action(self.action)


class Budget(Guard):
    """A guard on money: the threshold is what the canary may cost in a day, in the currency of the prices."""

    inputPerMillion: float = Field(default=0.0, ge=0, description="the price of a million tokens read, 0 or more")
    outputPerMillion: float = Field(default=0.0, ge=0, description="the price of a million tokens written, 0 or more")

    @model_validator(mode="after")
    def _has_a_limit_and_a_price(self) -> Self:
        if self.wanted and not (self.threshold and self.inputPerMillion + self.outputPerMillion):
            raise ValueError("a budget needs a threshold and a price above 0; set action to off to do without one")
        return self


def _defaults(threshold: float, window: int, lasting: int, samples: int, action: str) -> dict[str, object]:
    return {
        "threshold": threshold,
        "windowSeconds": window,
        "forSeconds": lasting,
        "minSamples": samples,
        "action": action,
    }


DEFAULTS: Mapping[str, Mapping[str, object]] = {
    # Answers that failed at the gateway. The fast twin needs 4 of 10 to 13 before it fires: with 1 % of errors that
    # happens to a good canary in less than one hour of 200.
    "errorRate": _defaults(0.05, 60, 300, 20, "rollback"),
    "errorRateFast": _defaults(0.30, 15, 0, 10, "rollback"),
    # Answers that broke off in the middle: to the gateway they are successes.
    "brokenAnswers": _defaults(0.05, 60, 300, 20, "rollback"),
    "brokenAnswersFast": _defaults(0.30, 15, 0, 10, "rollback"),
    # Seconds of whole answers. How long an answer may take is the release's own affair, so none cuts unless told to.
    "slowP95": _defaults(1.0, 300, 60, 100, "notify"),
    "slowP95Hard": _defaults(3.0, 300, 60, 100, "hold"),
    "slowP99": _defaults(2.0, 300, 30, 300, "hold"),  # three looks, each 15 s after the other
    "slowFast": _defaults(10.0, 15, 0, 20, "hold"),
    # An engine that takes its share of the memory beforehand stands at 0.9 on purpose.
    "gpuMemory": _defaults(0.90, 60, 180, 0, "hold"),
    "offensive": _defaults(0.05, 600, 0, 50, "rollback"),
    "emptyAnswers": _defaults(0.10, 300, 0, 30, "rollback"),
    "loopingAnswers": _defaults(0.10, 300, 0, 30, "rollback"),
    "budget": _defaults(0.0, DAY_SECONDS, 0, 0, OFF),
    # Without data no other guard can speak.
    "telemetryLost": _defaults(0.0, 60, 60, 0, "hold"),
    # Samples are the canary's requests that were to be expected. It fires after every cut too, and must not hold what
    # somebody has just resumed; without traffic nothing is judged to pass anyway.
    "noTraffic": _defaults(0.0, 300, 0, 10, "notify"),
    # The threshold is the difference of the shares: 0.1 is ten points of a hundred.
    "weightMismatch": _defaults(0.10, 300, 300, 500, "notify"),
}

_OneGuard = Annotated[Guard, Field(description="a mapping with threshold, windowSeconds, forSeconds, … of the guard")]


class Guards(BaseModel):
    """All guards of a stack. A setting may name some of a guard's keys; the others keep their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    errorRate: _OneGuard
    errorRateFast: _OneGuard
    brokenAnswers: _OneGuard
    brokenAnswersFast: _OneGuard
    slowP95: _OneGuard
    slowP95Hard: _OneGuard
    slowP99: _OneGuard
    slowFast: _OneGuard
    gpuMemory: _OneGuard
    offensive: _OneGuard
    emptyAnswers: _OneGuard
    loopingAnswers: _OneGuard
    budget: Budget = Field(description="a guard with inputPerMillion and outputPerMillion beside")
    telemetryLost: _OneGuard
    noTraffic: _OneGuard
    weightMismatch: _OneGuard

    @model_validator(mode="before")
    @classmethod
    def _over_the_defaults(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        known: dict[str, Any] = {name: dict(default) for name, default in DEFAULTS.items()}
        for name, changes in given.items():
            known[name] = {**known.get(name, {}), **changes} if isinstance(changes, Mapping) else changes
        return known

    def on(self) -> dict[str, Guard]:
        """The guards that are not off, by name."""
        return {name: guard for name, guard in self if guard.wanted}
