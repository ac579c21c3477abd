"""An admission policy as plain data; the component makes the API server's objects of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from serinus.rollout.admission.cel import text
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.canary_release import GROUP


class Resource(NamedTuple):
    """What a policy looks at."""

    group: str
    version: str
    plural: str
    operations: tuple[str, ...]


class Named(NamedTuple):
    """A named CEL expression: a variable or a condition of a policy."""

    name: str
    expression: str


class Validation(NamedTuple):
    """A request is refused unless `expression` holds; `says` is CEL that makes the message with its values."""

    expression: str
    says: str
    code: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One admission policy. `with_release`: its CEL reads the service's CanaryRelease as `params`."""

    name: str
    resource: Resource
    conditions: tuple[Named, ...]
    variables: tuple[Named, ...]
    validations: tuple[Validation, ...]
    with_release: bool = False


def policy_name(guarded: Guarded, part: str) -> str:
    """Name one policy of a service, uniquely in the cluster."""
    # Dots, because neither a service nor a namespace has one: so no two services share a name.
    return f"{part}.{guarded.service}.{guarded.namespace}.{GROUP}"


def but_for(group: str) -> Iterator[Named]:
    """The condition that lets the members of a group pass; none where there is no group."""
    if group:
        yield Named("not-break-glass", f"!({text(group)} in request.userInfo.?groups.orValue([]))")
