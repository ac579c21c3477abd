"""The settings of a stack: what people may write into Pulumi.<stack>.yaml, and what they are told when it is wrong.

A wrong setting must stop an update before the first object changes, and one run must name every mistake. So this is a
pure function of the engine's key-value pairs, the project's directory and the environment.
"""

# ruff: noqa: N815 - fields are named as their keys are written in Pulumi.<stack>.yaml

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from serinus.rollout.alert_guards import Guards
from serinus.rollout.budget import Budget
from serinus.rollout.canary_release import Rungs
from serinus.rollout.capacity import Capacity, check_capacity
from serinus.rollout.complaints import complaints
from serinus.rollout.expected import Expected
from serinus.rollout.hold import Override
from serinus.rollout.ladder import Ladder
from serinus.rollout.manifest import ManifestError, Release, load_release
from serinus.rollout.objectives import Objectives
from serinus.rollout.patterns import PatternError
from serinus.rollout.profile import PROFILES, named
from serinus.rollout.routing import Split, match
from stacks.kubeconfig import KubeconfigError, context_names, default_files

_RELEASES = "releases"
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_NAME_OR_NOTHING = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"
_HOST = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


class SettingsError(ValueError):
    """Settings that can't be used. The message has one line per mistake: key, value, what is allowed."""


class _Around(NamedTuple):
    """What the checks look at beside the values themselves."""

    root: Path
    environ: Mapping[str, str]


def _refusal(why: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{why}", {"why": why})


def _whole_number(value: object) -> int:
    # The engine hands every number over as text; int() alone would also take "1_0" and " 5".
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,9}", value):
        raise _refusal("it is no integer")
    return int(value)


def _flag(value: object) -> bool:
    if value not in ("true", "false"):
        raise _refusal("it is neither true nor false")
    return value == "true"


def _list(value: object) -> list[object]:
    # The engine hands lists over as JSON.
    try:
        parsed = json.loads(str(value))
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, list):
        raise _refusal("it is no list")
    return parsed


def _mapping(value: object) -> dict[str, object]:
    # And so are mappings.
    try:
        parsed = json.loads(str(value))
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise _refusal("it is no mapping")
    return parsed


def _mapping_or_none(value: object) -> dict[str, object] | None:
    return _mapping(value) or None


def _agent(value: object) -> dict[str, object] | None:
    # Most have no terms of their own: they say only that they want it.
    if value in ("true", "false"):
        return {} if value == "true" else None
    return _mapping_or_none(value)


def _ladder(value: object) -> object:
    return named(value) if value in PROFILES else _list(value)


def _release(value: object, info: ValidationInfo) -> Release:
    root = cast(_Around, info.context).root
    known = sorted(path.stem for path in (root / _RELEASES).glob("*.yaml"))
    if value not in known:
        raise _refusal(f"there is no {_RELEASES}/{value}.yaml; there are: {', '.join(known) or 'none'}")
    path = root / _RELEASES / f"{value}.yaml"
    try:
        release = load_release(path)
    except ManifestError as error:
        raise _refusal(str(error).replace(f"{root}{os.sep}", "")) from None
    if release.name != path.stem:
        raise _refusal(f"{_RELEASES}/{path.name} says name: {release.name}, but file and release share one name")
    return release


def _optional(value: object) -> object:
    """An empty text is how a default in Pulumi.yaml says "none"."""
    return None if value == "" else value


Count = Annotated[int, BeforeValidator(_whole_number)]
ReleaseByName = Annotated[Release, BeforeValidator(_release)]
Secret = Annotated[Annotated[SecretStr, Field(min_length=16)] | None, BeforeValidator(_optional)]
Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+\S*$", description="a URL with http or https")]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^:]*$", description="an absolute path without a colon")]


class NodeMount(BaseModel):
    """A directory of the node that the pods see, read-only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hostPath: AbsolutePath
    mountPath: AbsolutePath


class Agent(BaseModel):
    """On which terms the cluster's agent serves the service."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prometheus: Url | None = Field(
        default=None, description="the URL of a Prometheus whose alerts count, or nothing for the agent's own"
    )
    blindHoldSeconds: int = Field(
        default=120, ge=0, le=86400, description="seconds without telemetry until a live canary is held, 0 for never"
    )
    blindDecaySeconds: int = Field(
        default=0,
        ge=0,
        le=86400,
        description="seconds without telemetry until a live canary goes back to the step before, 0 for never",
    )
    noticesSecret: str = Field(
        default="",
        pattern=_NAME_OR_NOTHING,
        description="the name of a Secret that says who is told (docs/agent.md), or nothing",
    )


class Settings(BaseModel):
    """The settings of one stack, checked. Their defaults stand in Pulumi.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(
        pattern=_DNS_LABEL,
        max_length=22,  # with a release's 40 characters and a dash it makes a Service's name, which may have 63
        description="a DNS label of at most 22 characters, such as chat",
    )
    namespace: str = Field(pattern=_DNS_LABEL, max_length=63, description="a DNS label, such as serinus")
    kubeconfig: Annotated[str | None, BeforeValidator(_optional)] = Field(
        description="the path of a kubeconfig file, or nothing for $KUBECONFIG or ~/.kube/config"
    )
    context: str = Field(description="the name of a context of the kubeconfig")
    host: str = Field(pattern=_HOST, max_length=253, description="a host name in lower case, such as chat.example.com")
    ingressClass: str = Field(pattern=_HOST, max_length=253, description="the name of an IngressClass")
    stable: ReleaseByName = Field(description="the name of a release, the one that users get")
    canary: Annotated[ReleaseByName | None, BeforeValidator(_optional)] = Field(
        description="the name of another release than stable's, or nothing"
    )
    weight: Count = Field(ge=0, le=100, description="an integer from 0 to 100, and only 0 where there is no canary")
    ladder: Annotated[Rungs, BeforeValidator(_ladder)] = Field(
        description='a list of rungs that rise strictly to 100, such as [{"weight": 5, "bakeSeconds": 600}, '
        f'{{"weight": 100, "approval": true}}], or one of {", ".join(PROFILES)}'
    )
    split: Annotated[Split, BeforeValidator(_mapping)] = Field(
        description='a mapping such as {"by": "weight"} or {"by": "tail", "header": "X-User-Id", "digits": 2}'
    )
    salt: Secret = Field(description="a secret of at least 16 characters, with by: bucket and only there")
    testers: Annotated[tuple[SecretStr, ...], BeforeValidator(_list)] = Field(
        max_length=1000, description="a secret list of at most 1000 users' ids, with by: bucket and only there"
    )
    objectives: Annotated[Objectives, BeforeValidator(_mapping)] = Field(
        description='a mapping such as {"errors": {"limit": 0.05}, "slow": {"seconds": 10}}'
    )
    agent: Annotated[Agent | None, BeforeValidator(_agent)] = Field(
        description='true, or a mapping such as {"blindHoldSeconds": 60}; false or an empty one for no agent'
    )
    agentToken: Secret = Field(
        description="a secret of at least 16 characters (`pulumi config set --secret`), or nothing without an agent"
    )
    warmSeconds: Count = Field(ge=0, description="seconds, 0 or more")
    guard: Annotated[bool, BeforeValidator(_flag)] = Field(description="true or false")
    breakGlass: str = Field(description="the name of a group of your own, or nothing")
    retain: Annotated[tuple[ReleaseByName, ...], BeforeValidator(_list)] = Field(
        description='a list of names of releases, such as ["v1"]'
    )
    monitoring: Annotated[bool, BeforeValidator(_flag)] = Field(description="true or false")
    monitoringLabels: Annotated[dict[str, str], BeforeValidator(_mapping)] = Field(
        description='a mapping of labels such as {"release": "prometheus"}'
    )
    alerts: Annotated[Guards, BeforeValidator(_mapping)] = Field(
        description='a mapping from guards to their settings, such as {"errorRate": {"threshold": 0.02}}'
    )
    previous: Annotated[ReleaseByName | None, BeforeValidator(_optional)] = Field(
        description="the name of the release that was stable before, or nothing"
    )
    override: Annotated[Override | None, BeforeValidator(_mapping_or_none)] = Field(
        description='a mapping such as {"by": "ada", "reason": "a fix that can not wait", '
        '"until": "2026-12-01T12:00:00Z"}, or nothing'
    )
    expected: Annotated[Expected | None, BeforeValidator(_mapping_or_none)] = Field(
        description='a mapping such as {"requestsPerSecond": 20, "smallestRegression": 0.05}, or nothing'
    )
    capacity: Annotated[Capacity | None, BeforeValidator(_mapping_or_none)] = Field(
        description='a mapping such as {"pods": 8, "room": 16}, or nothing for the replicas of each release\'s file'
    )
    budget: Annotated[Budget | None, BeforeValidator(_mapping_or_none)] = Field(
        description='a mapping such as {"perDay": 50, "inputPerMillion": 0.5, "outputPerMillion": 1.5, '
        '"action": "hold"}, or nothing'
    )
    dashboard: Annotated[bool, BeforeValidator(_flag)] = Field(description="true or false")
    gpu: Count = Field(ge=0, le=64, description="an integer from 0 to 64")
    hashKey: Secret = Field(description="a secret of at least 16 characters (`pulumi config set --secret`), or nothing")
    nodeMounts: Annotated[tuple[NodeMount, ...], BeforeValidator(_list)] = Field(
        description='a list such as [{"hostPath": "/srv/models", "mountPath": "/models"}]'
    )

    @property
    def releases(self) -> tuple[Release, ...]:
        """Every release that runs, each once: stable, canary, the one before and those retained."""
        wanted = (self.stable, self.canary, self.previous, *self.retain)
        return tuple({release.name: release for release in wanted if release}.values())

    @field_validator("kubeconfig")
    @classmethod
    def _is_a_kubeconfig(cls, kubeconfig: str | None, info: ValidationInfo) -> str | None:
        _known_contexts(kubeconfig, info)
        return kubeconfig

    @field_validator("context")
    @classmethod
    def _is_in_the_kubeconfig(cls, context: str, info: ValidationInfo) -> str:
        if "kubeconfig" in info.data:
            known = _known_contexts(info.data["kubeconfig"], info)
            if context not in known:
                raise _refusal(f"the kubeconfig has no such context; it has: {', '.join(known) or 'none'}")
        return context

    @field_validator("canary")
    @classmethod
    def _is_not_the_stable_release(cls, canary: Release | None, info: ValidationInfo) -> Release | None:
        stable = info.data.get("stable")
        if canary is not None and stable is not None and canary.name == stable.name:
            raise _refusal("it is the stable release already")
        return canary

    @field_validator("weight")
    @classmethod
    def _has_a_canary_to_go_to(cls, weight: int, info: ValidationInfo) -> int:
        if weight > 0 and info.data.get("canary", ...) is None:
            raise _refusal("there is no canary for this traffic")
        return weight

    @field_validator("split")
    @classmethod
    def _can_express_every_rung(cls, split: Split, info: ValidationInfo) -> Split:
        weights = [rung.weight for rung in info.data.get("ladder", ())]
        for weight in sorted({*weights, info.data.get("weight", 0)}):
            try:
                match(split, weight)
            except PatternError as error:
                raise _refusal(str(error)) from None
        return split

    @model_validator(mode="after")
    def _keeps_a_secret_for_buckets(self) -> Self:
        if self.split.by == "bucket" and self.salt is None:
            raise _refusal("split by: bucket needs serinus:salt; without it anybody could compute who is next")
        if self.split.by != "bucket" and (self.salt is not None or self.testers):
            raise _refusal(f"salt and testers have no use with split by: {self.split.by}; only the bucketer reads them")
        return self

    @field_validator("agentToken")
    @classmethod
    def _proves_something_to_the_agent(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is None and info.data.get("agent") is not None:
            raise _refusal("the agent would take nobody's word")
        return token

    @field_validator("guard")
    @classmethod
    def _is_there_where_an_agent_is(cls, guard: bool, info: ValidationInfo) -> bool:
        if not guard and info.data.get("agent") is not None:
            raise _refusal("an agent needs the guard: the object that it reads and writes comes with it")
        return guard

    @field_validator("capacity")
    @classmethod
    def _carries_a_whole_rollout(cls, capacity: Capacity | None, info: ValidationInfo) -> Capacity | None:
        rungs = info.data.get("ladder")
        if capacity is not None and rungs:
            kept = 1 if info.data.get("previous") is not None and info.data.get("canary") is not None else 0
            against = check_capacity(capacity, Ladder(rungs=rungs), info.data.get("expected"), kept)
            if against:
                raise _refusal(" ".join(f"{one.sentence}. {one.remedy}" for one in against))
        return capacity

    @field_validator("breakGlass")
    @classmethod
    def _is_a_group_of_few(cls, group: str) -> str:
        if group.startswith("system:"):
            raise _refusal("Kubernetes puts people and programs into this group, so the guard would let them pass")
        return group


def read_settings(config: Mapping[str, str], project: str, root: Path, environ: Mapping[str, str]) -> Settings:
    """Check a stack's settings.

    `config` is the engine's configuration of the stack, with full keys (`<project>:<key>`) and every value as text or
    JSON; keys of other namespaces are left alone. `root` is the project's directory, `environ` the environment.
    Raises SettingsError, which lists every mistake.
    """
    prefix = f"{project}:"
    given = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    mistakes = [_unknown(key) for key in given if key not in Settings.model_fields]
    known = {key: value for key, value in given.items() if key in Settings.model_fields}
    try:
        settings = Settings.model_validate(known, context=_Around(root, environ))
    except ValidationError as error:
        mistakes += complaints(Settings, error)
    else:
        if not mistakes:
            return settings
    listed = "\n".join(f"  {prefix}{mistake}" for mistake in mistakes)
    remedy = f"Change a setting with `pulumi config set {prefix}<key> <value>`, drop one with `pulumi config rm`."
    raise SettingsError(f"The settings of this stack can't be used; nothing was changed.\n{listed}\n{remedy}")


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, Settings.model_fields, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    # An unknown key may hold anything, a secret too: its value is not repeated.
    return f"{key}: unknown key{meant} Allowed keys: {', '.join(Settings.model_fields)}"


def _known_contexts(kubeconfig: str | None, info: ValidationInfo) -> list[str]:
    around = cast(_Around, info.context)
    files = default_files(around.environ) if kubeconfig is None else [around.root / Path(kubeconfig).expanduser()]
    try:
        return context_names(files)
    except KubeconfigError as error:
        raise _refusal(str(error)) from None
