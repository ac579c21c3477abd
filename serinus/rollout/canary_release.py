"""The CanaryRelease, the one object that a rollout is: what its spec declares, and the schema of it all.

The schema is made from the same models that read the object, so a field's bounds stand in one place. The models' own
validators compare fields with each other, and no schema says that: their twins in CEL stand below, in `_COMPARISONS`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from serinus.rollout.budget import Budget
from serinus.rollout.expected import Expected
from serinus.rollout.hold import Override
from serinus.rollout.ladder import MOST_RUNGS, Ladder, Rung
from serinus.rollout.objectives import Limits, Objectives
from serinus.rollout.record import Record
from serinus.rollout.status import Percent, Status
from serinus.rollout.step import Declared

GROUP = "serinus.dev"
VERSION = "v1alpha1"
KIND = "CanaryRelease"
PLURAL = "canaryreleases"
API_VERSION = f"{GROUP}/{VERSION}"
CRD_NAME = f"{PLURAL}.{GROUP}"
LADDER_NOTE = f"{GROUP}/ladder"
"""The annotation of the canary Ingress with the ladder's weights, a JSON list."""


class StoredRung(Rung):
    """A rung as the object and the stack's settings write it."""

    model_config = Record.model_config


def ladder_of(rungs: Iterable[Rung]) -> Ladder:
    """Join rungs to a ladder. Raises ValueError that says what keeps them from being one."""
    try:
        return Ladder(rungs=tuple(rungs))
    except ValidationError as error:
        raise ValueError("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())) from None


def _make_a_ladder(rungs: tuple[StoredRung, ...]) -> tuple[StoredRung, ...]:
    ladder_of(rungs)
    return rungs


Rungs = Annotated[
    tuple[StoredRung, ...],
    AfterValidator(_make_a_ladder),
    Field(strict=False, description='rungs such as {"weight": 5, "bakeSeconds": 600}, rising strictly to 100'),
]


class Spec(Record):
    """What a stack declares of one service's rollout. Releases are named by their ids."""

    service: str = Field(description="the service's name, which is also the object's")
    host: str = Field(description="the host name under which users reach the service")
    stable: str = Field(description="the id of the release that users get")
    canary: str = Field(description="the id of the release on trial, empty without one")
    weight: Percent
    ladder: Rungs
    objectives: Objectives = Objectives()
    override: Override | None = Field(default=None, description="puts the waivable rules aside until its end")
    budget: Budget | None = Field(default=None, description="what the canary may cost in a day; missing for no limit")
    expected: Expected | None = Field(default=None, description="the traffic by which a step is judged beforehand")

    @model_validator(mode="after")
    def _has_a_canary_to_go_to(self) -> Self:
        if self.weight > 0 and not self.canary:
            raise ValueError(f"the weight is {self.weight}, but there is no canary for this traffic")
        return self

    def declared(self, generation: int) -> Declared:
        """Return what the rules of a step look at; `generation` is the object's own."""
        return Declared(self.service, self.canary, ladder_of(self.ladder), generation, self.budget)


def _comparison(rule: str, message: str, says: str = "") -> dict[str, str]:
    """One CEL rule of the schema; `says` is CEL that makes the message, where it carries values."""
    return {"rule": rule, "message": message, **({"messageExpression": says} if says else {})}


_BAKED = "(has(self.bakedSeconds) ? self.bakedSeconds : 0.0)"
_FLOOR_BELOW_LIMIT = _comparison(
    f"(has(self.floor) ? self.floor : {Limits().floor}) <= (has(self.limit) ? self.limit : {Limits().limit})",
    "the floor is above the limit",
)
_COMPARISONS: Mapping[str, list[dict[str, str]]] = {
    "Counts": [
        _comparison(
            f"(has(self.{part}) ? self.{part} : 0) <= (has(self.requests) ? self.requests : 0)",
            f"there can't be more {what} than requests",
        )
        for part, what in (("errors", "errors"), ("slow", "slow requests"))
    ],
    "Status": [
        _comparison(
            "!has(self.stepStartedAt) || self.stepStartedAt <= self.observedAt",
            "the step started after it was observed: a clock jumped",
        ),
        _comparison(
            f"{_BAKED} * 1000.0 <= "
            "(has(self.stepStartedAt) ? double((self.observedAt - self.stepStartedAt).getMilliseconds()) : 0.0)",
            "the step has baked longer than it lasts",
        ),
    ],
    "Spec": [
        _comparison(
            "self.weight == 0 || self.canary != ''",
            "the weight is above 0, but there is no canary for this traffic",
        ),
    ],
    "Budget": [
        _comparison(
            "(has(self.inputPerMillion) ? self.inputPerMillion : 0.0) "
            "+ (has(self.outputPerMillion) ? self.outputPerMillion : 0.0) > 0.0",
            "a budget needs a price above 0",
        ),
    ],
    "Limits": [_FLOOR_BELOW_LIMIT],
    "SlowLimits": [_FLOOR_BELOW_LIMIT],
    "Ladder": [
        _comparison("size(self) > 0", f"a ladder has 1 to {MOST_RUNGS} rungs, this one has none"),
        _comparison(
            "self.all(i, rung, i == 0 || self[i - 1].weight < rung.weight)",
            "the weights of a ladder rise strictly",
            "'the weights of a ladder rise strictly, these do not: %s'.format([self.map(rung, rung.weight)])",
        ),
        _comparison(
            "size(self) == 0 || self[size(self) - 1].weight == 100",
            "the last rung of a ladder is 100",
            "'the last rung of a ladder is 100, this one ends at %d'.format([self[size(self) - 1].weight])",
        ),
    ],
}
_OF_THE_WHOLE = [
    _comparison("self.metadata.name == self.spec.service", "a CanaryRelease is named like its service, spec.service"),
    _comparison(
        "!has(self.status) || self.status.service == self.spec.service",
        "the status is of another service than spec.service",
    ),
]

_COLUMNS = (
    ("Service", "string", ".spec.service", 0),
    ("Stable", "string", ".spec.stable", 0),
    ("Canary", "string", ".spec.canary", 0),
    ("Weight", "integer", ".spec.weight", 0),
    ("Allowed", "integer", ".status.allowedWeight", 0),
    ("Verdict", "string", ".status.verdict", 0),
    ("Held", "date", ".status.hold.since", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Seen", "integer", ".status.weight", 1),
    ("Observed", "date", ".status.observedAt", 1),
    ("Because", "string", ".status.because", 1),
)

_KEPT = ("type", "description", "enum", "format", "minimum", "maximum", "pattern", "required")


def crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition.

    It belongs to the cluster, not to a stack: `serinus install-crd` brings it. A stack that owned it would take every
    other stack's objects along when it is destroyed, and two of them would write it by turns.
    """
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": _structural(Spec), "status": _structural(Status)},
        "x-kubernetes-validations": _OF_THE_WHOLE,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD_NAME, "labels": {"app.kubernetes.io/part-of": "serinus"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": type_, "jsonPath": path} | ({"priority": priority} if priority else {})
                        for name, type_, path, priority in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _structural(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's schema as Kubernetes wants it: without references, and without a null for what is absent."""
    whole = model.model_json_schema(by_alias=True)
    definitions = whole.get("$defs", {})

    def translate(schema: Mapping[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
        if "$ref" in schema:
            return translate(definitions[schema["$ref"].rpartition("/")[2]] | own)
        if "anyOf" in schema:
            (one,) = (one for one in schema["anyOf"] if one != {"type": "null"})
            return translate(one | own)
        kept = {key: value for key, value in schema.items() if key in _KEPT}
        if "properties" in schema:
            kept["properties"] = {key: translate(value) for key, value in schema["properties"].items()}
        if "items" in schema:
            # Comparing rungs is only cheap enough for the API server where it knows how many there may be.
            kept |= {"items": translate(schema["items"]), "maxItems": MOST_RUNGS, "x-kubernetes-list-type": "atomic"}
        comparisons = [dict(one) for one in _COMPARISONS.get(schema.get("title", ""), [])]
        return kept | ({"x-kubernetes-validations": comparisons} if comparisons else {})

    return translate(whole)
