"""What the API server says of one service, as the agent needs it: the declared rollout, its status, its Ingress.

Whoever wrote them may be newer than this agent. What it does not know it leaves alone: an agent that stops judging
because a spec has one more key protects nobody.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from serinus.rollout.canary_release import Spec
from serinus.rollout.complaints import complaints
from serinus.rollout.cut import holds, owned
from serinus.rollout.hold import Hold
from serinus.rollout.share import WEIGHT, share
from serinus.rollout.status import Status, read_status
from serinus.rollout.violation import Violation


class UnreadableError(ValueError):
    """An object that can't be understood at all. The message names key and value."""


@dataclass(frozen=True, slots=True)
class Route:
    """The canary's Ingress: its annotations, whether a cut of it holds, and who wrote the weight last.

    owned: whether the weight is the agent's, which has cut or lowered it and not given it back.
    """

    annotations: Mapping[str, str] = field(default_factory=dict)
    cut_holds: bool = False
    writer: str = ""
    owned: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """The spec with its generation, the status (None: none that can be read), the Ingress (None: none).

    `version` is the object's resourceVersion: what is decided on it must be written on it.
    """

    spec: Spec
    generation: int
    version: str
    status: Status | None
    hold: Hold | None
    route: Route | None

    @property
    def served(self) -> int:
        """The share that the canary's Ingress sends, in percent."""
        return share(self.route.annotations) if self.route else 0

    @property
    def cut(self) -> bool:
        """Whether a cut stands."""
        return self.route is not None and self.route.cut_holds


def read_world(release: Mapping[str, Any], ingress: Mapping[str, Any] | None, now: datetime) -> World:
    """Read a CanaryRelease and the canary's Ingress. Raises UnreadableError."""
    metadata = release.get("metadata") or {}
    status = read_status(release.get("status"))
    readable = None if isinstance(status, Violation) else status
    return World(
        spec=read_spec(release.get("spec")),
        generation=int(metadata.get("generation", 0)),
        version=str(metadata.get("resourceVersion", "")),
        status=readable,
        hold=readable.hold if readable else _hold_of(release.get("status"), now),
        route=None if ingress is None else read_route(ingress),
    )


def read_spec(document: object) -> Spec:
    """Read a spec, without the keys that this version does not know. Raises UnreadableError."""
    known = deepcopy(document)
    try:
        try:
            return Spec.model_validate(known)
        except ValidationError as error:
            unknown = [one["loc"] for one in error.errors() if one["type"] == "extra_forbidden"]
            if not unknown:
                raise
            for loc in unknown:
                _drop(known, loc)
            return Spec.model_validate(known)
    except ValidationError as error:
        raise UnreadableError(f"spec: {'; '.join(complaints(Spec, error))}") from None


def read_route(ingress: Mapping[str, Any]) -> Route:
    """Read the canary's Ingress."""
    metadata = ingress.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    fields = metadata.get("managedFields") or []
    return Route(annotations, holds(fields, annotations), _writer(fields), owned(fields))


def _hold_of(status: object, now: datetime) -> Hold | None:
    """A hold counts even where the rest of a status, or of the hold, can't be read."""
    if not isinstance(status, Mapping) or not status.get("hold"):
        return None
    return Hold(reason="there is a hold that can't be read", by="serinus-agent", since=now)


def _drop(document: object, loc: tuple[int | str, ...]) -> None:
    holder: Any = document
    for part in loc[:-1]:
        holder = holder[part]
    holder.pop(loc[-1], None)


def _writer(fields: list[Mapping[str, Any]]) -> str:
    owners = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in fields
        if f"f:{WEIGHT}" in (entry.get("fieldsV1") or {}).get("f:metadata", {}).get("f:annotations", {})
    ]
    return max(owners, default=("", ""))[1]
