"""What there was of a service before this update: as the cluster has it, else as the checkpoint has it.

A rule refuses what an update changes for the worse, so each of them needs the state before. The checkpoint is as the
last update left things; who relies on it for a rise would undo a cut that it does not know.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pulumi_policy import ResourceValidationArgs

from policies import checkpoint, cluster
from policies.cluster import SERVICE_LABEL, ClusterError, Documents, Live

States = Callable[[str], list[Mapping[str, Any]]]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the past is read: the whole checkpoint by any of its URNs, the cluster by a resource; and the clock."""

    checkpoint: States = checkpoint.resources
    live: Callable[[ResourceValidationArgs], Live | None] = cluster.read
    now: Callable[[], datetime] = _utc_now


@dataclass(frozen=True, slots=True)
class Before:
    """The resource itself (several times where an update was killed), and what else belongs to its service.

    unread: why the cluster could not be asked; empty if it was, or if there is none to ask.
    """

    own: tuple[Mapping[str, Any], ...]
    ingresses: Documents
    deployments: Documents
    release: Mapping[str, Any] | None
    unread: str = ""


def before(args: ResourceValidationArgs, sources: Sources) -> Before:
    """Read what there was. Raises CheckpointError where neither the cluster nor the checkpoint can be read."""
    unread = ""
    try:
        live = sources.live(args)
    except ClusterError as error:
        live, unread = None, str(error)
    kind = kind_of(args)
    if live is not None:
        table = live.deployments if kind == "Deployment" else live.ingresses
        name = (args.props.get("metadata") or {}).get("name", "")
        return Before((table[name],) if name in table else (), live.ingresses, live.deployments, live.release)
    held = sources.checkpoint(args.urn)
    service = labels(args.props).get(SERVICE_LABEL, "")
    return Before(
        tuple(state.get("outputs") or {} for state in held if state.get("urn") == args.urn),
        _of(held, "Ingress", service),
        _of(held, "Deployment", service),
        None,
        unread,
    )


def kind_of(args: ResourceValidationArgs) -> str:
    """Return the kind of a Kubernetes object, whether it is written whole or patched; empty for anything else."""
    package, _, kind = args.resource_type.rpartition(":")
    return kind.removesuffix("Patch") if package.startswith("kubernetes:") else ""


def labels(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return (document.get("metadata") or {}).get("labels") or {}


def annotations(document: Mapping[str, Any]) -> dict[str, str]:
    """The annotations as texts."""
    found = (document.get("metadata") or {}).get("annotations") or {}
    return {str(key): str(value) for key, value in found.items()}


def backends(ingress: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the Services that an Ingress routes to, sorted; `?` for a backend that is none."""
    spec = ingress.get("spec") or {}
    paths = [path for rule in spec.get("rules") or [] for path in (rule.get("http") or {}).get("paths") or []]
    routed = [path.get("backend") or {} for path in paths]
    routed += [spec["defaultBackend"]] if spec.get("defaultBackend") else []
    return tuple(sorted({str((one.get("service") or {}).get("name") or "?") for one in routed}))


def _of(held: Iterable[Mapping[str, Any]], kind: str, service: str) -> Documents:
    answers = [
        state.get("outputs") or {}
        for state in held
        if str(state.get("type", "")).startswith("kubernetes:") and str(state.get("type", "")).endswith(f":{kind}")
    ]
    return {
        str(one["metadata"]["name"]): one
        for one in answers
        if service and labels(one).get(SERVICE_LABEL) == service and "name" in one["metadata"]
    }
