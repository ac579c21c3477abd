"""What a change of a stack would do to its users, and whether it may: the report of `serinus plan`, as data.

The engine says what changes and what its policies refuse, the cluster says what is served and what the agent saw. Here
both become one decision. Want of data is not consent: a rise that nobody can judge is neither refused nor let go.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from serinus.rollout.record import Moment, Record
from serinus.rollout.status import Counts, Percent
from serinus.rollout.verdict import Verdict


class Decision(StrEnum):
    """The last word of a plan; its exit code is 0, 1 or 2."""

    GO = "go"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        return list(Decision).index(self)


class Refusal(Record):
    """One thing that must not be. `by` is who says so: policy pack, rules, cluster or program."""

    by: str
    rule: str = Field(description="the rule's name, in kebab-case")
    sentence: str
    remedy: str = Field(default="", description="what to do; empty where the sentence says it")


class Step(Record):
    """The canary's share of the traffic in percent, before and after. Without a gateway that knows it, `old` is 0."""

    old: Percent
    new: Percent
    canary: str = Field(description="the Service behind the canary's Ingress")
    seen: str = Field(description="where `old` comes from: live or checkpoint")

    @property
    def rises(self) -> bool:
        return self.new > self.old


class Evidence(Record):
    """What the agent saw, and how old that is. `allowed_weight` is the weight that it calls safe."""

    verdict: Verdict | None
    because: str
    age_seconds: float
    canary: Counts
    stable: Counts
    baked_seconds: float
    bake_seconds: int = Field(description="how long the present step must bake")
    allowed_weight: Percent
    held: str = Field(description="why the release is held; empty if it is not")


class Need(Record):
    """How long the step must last, and how many of its requests the canary must get; null: no time is enough."""

    seconds: float | None
    requests: int | None


class Feasibility(Record):
    """What the step can show at this traffic. Shares are of requests."""

    per_second: float = Field(description="requests per second on both releases")
    measured: bool = Field(description="true if that is what the agent counted, false if it was given")
    usual: float = Field(description="the stable's share of bad requests")
    worth_seeing: float = Field(description="the canary's share of bad requests that the step must find")
    to_fail: Need = Field(description="until such a canary fails")
    to_pass: Need = Field(description="until a canary like the stable passes")
    bake_seconds: int
    warnings: tuple[str, ...]


class Change(Record):
    """One resource that the update touches. Values are left out: they may be anything."""

    op: str = Field(description="create, update, delete, replace, …")
    kind: str
    name: str
    paths: tuple[str, ...] = Field(description="which properties differ")


class Drift(Record):
    """One thing of an Ingress that is not as the last update left it."""

    ingress: str
    what: str
    settings: str = Field(description="what this change wants")
    checkpoint: str = Field(description="what the last update left")
    live: str = Field(description="what is there now")
    cause: str


class Plan(Record):
    """The report. Its JSON schema is docs/plan.schema.json."""

    stack: str
    service: str
    at: Moment
    decision: Decision
    exit_code: int = Field(description="0 may go, 1 refused, 2 could not be told")
    step: Step | None = Field(default=None, description="null if the preview ended before the Ingress was reached")
    refusals: tuple[Refusal, ...] = ()
    unknowns: tuple[str, ...] = Field(default=(), description="why it could not be told")
    waived: tuple[Refusal, ...] = Field(default=(), description="what an override puts aside; `by` says whose and why")
    evidence: Evidence | None = None
    no_evidence: str = Field(default="", description="why there is no evidence; empty where there is some")
    feasibility: Feasibility | None = None
    no_feasibility: str = Field(default="", description="why nothing is said of the feasibility")
    drift: tuple[Drift, ...] = ()
    changes: tuple[Change, ...] = ()
    unchanged: int = Field(default=0, description="resources that stay as they are")


class Route(Record):
    """One Ingress as it stands in one place.

    `managers` says, for each annotation, who set it; only the live object knows.
    """

    annotations: Mapping[str, str]
    backends: tuple[str, ...]
    managers: Mapping[str, tuple[str, ...]] = {}


Routes = Mapping[str, Route]


class Preview(Record):
    """What the engine said of the change. `wanted` and `checkpoint` hold the service's Ingresses by name."""

    config: Mapping[str, str] = Field(description="the project's settings by key; a secret one reads [secret]")
    wanted: Routes
    checkpoint: Routes
    changes: tuple[Change, ...]
    unchanged: int
    refusals: tuple[Refusal, ...]
    errors: tuple[str, ...] = Field(description="why the preview failed, beside the refusals")


class Live(Record):
    """What the cluster serves, and its CanaryRelease as the API server returns it, or why there is none."""

    routes: Routes
    release: Mapping[str, Any] | None
    no_release: str = ""
