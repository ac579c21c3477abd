"""The canary can carry its share, and the stable release everything, if the canary is cut this minute."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.before import Sources, annotations, backends, kind_of, labels
from policies.checkpoint import CheckpointError
from policies.cluster import SERVICE_LABEL, ClusterError, Documents
from policies.rule import rule
from policies.steps import Step, step_of
from serinus.rollout.capacity import SCALED_NOTE
from serinus.rollout.feasibility import check_headroom
from serinus.rollout.share import EVERYTHING


class Declared:
    """What this update has declared so far: pods by Deployment, and the Services behind each stable Ingress.

    The pods of those in `scaled` are counted by somebody else, so that what is declared says nothing once they run.

    The engine asks about a release's Deployment and the stable Ingress before the canary's Ingress, which depends on
    both. So a rise and the pods for it can come in one update.
    """

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], int] = {}
        self.scaled: set[tuple[str, str]] = set()
        self.stable: dict[tuple[str, str], tuple[str, ...]] = {}

    def count(self, namespace: str, name: str, running: Documents) -> int | None:
        """Return the pods of a Deployment: as declared, or as many as are ready where somebody else counts them."""
        if (namespace, name) in self.scaled and name in running:
            return int((running[name].get("status") or {}).get("readyReplicas") or 0)
        return self.pods.get((namespace, name))

    def note(self, args: ResourceValidationArgs) -> None:
        """Remember a resource that the rule will need."""
        service, kind = str(labels(args.props).get(SERVICE_LABEL, "")), kind_of(args)
        metadata = args.props.get("metadata") or {}
        namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        if service and kind == "Deployment":
            self.pods[namespace, name] = _wanted(args.props)
            if annotations(args.props).get(SCALED_NOTE) == "true":
                self.scaled.add((namespace, name))
        elif service and kind == "Ingress" and name == f"{service}-stable":
            self.stable[namespace, service] = backends(args.props)


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    declared = Declared()

    def refusals(args: ResourceValidationArgs) -> Iterator[str]:
        declared.note(args)
        if kind_of(args) == "Deployment" and annotations(args.props).get(SCALED_NOTE) != "true":
            yield from _counted_elsewhere(args, _live(args, sources))
        try:
            step = step_of(args, sources)
        except CheckpointError:
            # What keeps the old weight from being known, weight-ladder says.
            return
        if step is not None and step.rises:
            namespace = str((args.props.get("metadata") or {}).get("namespace", ""))
            behind = declared.stable.get((namespace, step.service), ())
            running = _live(args, sources)
            pods = [[declared.count(namespace, one, running) for one in names] for names in (step.behind, behind)]
            # What is not of this stack may be as large as it likes.
            canary, stable = (None if None in found or not found else sum(filter(None, found)) for found in pods)
            if canary is not None and stable is not None:
                yield from _missing(step, canary, stable)

    return rule(
        "capacity-headroom",
        "The canary has pods for its share, and the stable release keeps those for everything.",
        refusals,
        severity=Severity.HIGH,
        remedy="Raise `replicas` in the release's file: it is no part of what the release is.",
    )


def _wanted(deployment: Mapping[str, Any]) -> int:
    replicas = (deployment.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _live(args: ResourceValidationArgs, sources: Sources) -> Documents:
    """The Deployments that run. Where the cluster can't be asked, other rules refuse the rise."""
    try:
        live = sources.live(args)
    except ClusterError:
        return {}
    return live.deployments if live is not None else {}


def _counted_elsewhere(args: ResourceValidationArgs, running: Documents) -> Iterator[str]:
    """Refuse what the API server would refuse half-way: a number of pods that is another's to count."""
    metadata = args.props.get("metadata") or {}
    namespace, name = metadata.get("namespace", ""), str(metadata.get("name", ""))
    now = running.get(name) or {}
    counted = (now.get("spec") or {}).get("replicas")
    if annotations(now).get(SCALED_NOTE) == "true" and counted != _wanted(args.props) and _is_scaled(now):
        yield (
            f"it has {counted} pods, which serinus:capacity had counted, and is to have {_wanted(args.props)} "
            f"(pods-counted-elsewhere). Take the number back first: kubectl -n {namespace} delete hpa {name}, then "
            f"kubectl -n {namespace} scale deployment {name} --replicas {_wanted(args.props)}"
        )


def _is_scaled(deployment: Mapping[str, Any]) -> bool:
    """Tell whether the number of pods is a controller's; a person who scales it gives it back to the stack."""
    entries = (deployment.get("metadata") or {}).get("managedFields") or []
    owners = [
        str(entry.get("manager", ""))
        for entry in entries
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}) and entry.get("subresource") == "scale"
    ]
    return any(not owner.startswith("kubectl") for owner in owners)


def _missing(step: Step, canary: int, stable: int) -> Iterator[str]:
    """Say which pods are missing, given how many both releases are to have."""
    expected = step.spec.expected if step.spec else None
    if expected and expected.per_replica:
        carried = [pods * expected.per_replica for pods in (canary, stable)]
        yield from map(str, check_headroom(step.new, expected.requests_per_second, *carried))
        return
    # Nobody has said what a pod can carry. But the stable's pods carry everything, so a share needs its share of them.
    needed = math.ceil(stable * step.new / EVERYTHING)
    if canary < needed:
        yield (
            f"at {step.new} % the canary needs {needed} pods beside the stable release's {stable}, and has {canary} "
            "(canary-overloaded). Raise `replicas` in its release, or say in serinus:expected what a pod can carry; "
            "with serinus:capacity, wait until the pods are ready."
        )
