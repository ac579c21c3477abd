"""Where the pods are in a Kubernetes object, whatever kind of object it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import ResourceValidationArgs

_TEMPLATED = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def pod(args: ResourceValidationArgs) -> Mapping[str, Any] | None:
    """Return the pod that this resource makes, as metadata and spec, or None if it makes none."""
    package, _, kind = args.resource_type.rpartition(":")
    if not package.startswith("kubernetes:"):
        return None
    kind = kind.removesuffix("Patch")
    if kind == "Pod":
        return args.props
    spec = args.props.get("spec") or {}
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    elif kind not in _TEMPLATED:
        return None
    template: Mapping[str, Any] = spec.get("template") or {}
    return template


def containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every container of a pod, those that only prepare it too."""
    spec = pod.get("spec") or {}
    for kind in _CONTAINERS:
        yield from spec.get(kind) or []


def model_containers(args: ResourceValidationArgs) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each container that serves a model, with its pod's spec. Nothing for any other resource.

    A model service is told by the label `serinus.dev/service` of its pods.
    """
    made = pod(args)
    labels = ((made or {}).get("metadata") or {}).get("labels") or {}
    if made is not None and "serinus.dev/service" in labels:
        spec = made.get("spec") or {}
        for container in spec.get("containers") or []:
            yield container, spec
