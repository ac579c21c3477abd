"""The status of a CanaryRelease as plain data: what the agent observed, and the weight that it allows."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from serinus.rollout.bill import Bill
from serinus.rollout.complaints import complaints
from serinus.rollout.hold import Approval, Hold
from serinus.rollout.record import Moment, Record
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation

Percent = Annotated[int, Field(ge=0, le=100, description="an integer from 0 to 100")]


class Counts(Record):
    """What one arm did during the step, in requests."""

    requests: int = Field(default=0, ge=0, description="an integer, 0 or more")
    errors: int = Field(default=0, ge=0, description="an integer, 0 or more")
    slow: int = Field(default=0, ge=0, description="an integer, 0 or more")

    @model_validator(mode="after")
    def _parts_of_the_whole(self) -> Self:
        if max(self.errors, self.slow) > self.requests:
            raise ValueError("errors and slow requests are requests, so there can't be more of them")
        return self


class Observation(Record):
    """What the agent saw of one service at one moment.

    `canary` is the id of the release that was judged, `weight` the percentage that the gateway serves, and
    `baked_seconds` the time since `step_started_at` that counts (time without telemetry does not).
    """

    # A newer agent may say more than this reader knows; what it restricts, it restricts by the weight that it allows.
    model_config = ConfigDict(extra="ignore")

    service: str = Field(description="the service's name")
    canary: str = Field(description="the id of the canary's release, empty without a canary")
    weight: Percent
    verdict: Annotated[Verdict, Field(strict=False)] | None = Field(
        default=None, description="pass, fail, insufficient or blind"
    )
    because: str = Field(default="", description="the judge's reasons")
    stable_counts: Counts = Counts()
    canary_counts: Counts = Counts()
    step_started_at: Moment | None = Field(default=None, description="an RFC 3339 time with its zone")
    baked_seconds: float = Field(default=0.0, ge=0, description="seconds, 0 or more")
    hold: Hold | None = None
    approvals: Annotated[tuple[Approval, ...], Field(strict=False)] = ()
    budget: Bill | None = Field(default=None, description="what the canary has cost today; missing without a budget")
    observed_at: Moment = Field(description="an RFC 3339 time with its zone")
    observed_generation: int = Field(ge=0, description="the generation of the spec that the agent acts on")

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        elapsed = 0.0 if self.step_started_at is None else (self.observed_at - self.step_started_at).total_seconds()
        if elapsed < 0:
            raise ValueError("the step started after it was observed: a clock jumped")
        if self.baked_seconds > elapsed:
            raise ValueError(f"the step has baked {self.baked_seconds} s, but it began {elapsed} s ago")
        return self


class Status(Observation):
    """An observation with its conclusion: the highest weight that is safe now, and what keeps it from being higher."""

    allowed_weight: Percent
    reasons: Annotated[tuple[str, ...], Field(strict=False)] = ()


def read_status(document: object) -> Status | Violation:
    """Read the `status` of a CanaryRelease as the API server returns it.

    A status that is missing or malformed comes back as the violation that every rise meets.
    """
    if not document:
        return Violation("status-missing", "the CanaryRelease has no status", "Check that the agent runs.")
    remedy = "Look for who else writes it; only the agent should."
    if not isinstance(document, Mapping):
        return Violation("status-malformed", f"the status is {document!r}, not a mapping", remedy)
    try:
        return Status.model_validate(document)
    except ValidationError as error:
        return Violation("status-malformed", f"the status is malformed: {'; '.join(complaints(Status, error))}", remedy)
