"""The canary can carry its share, and the stable release everything, if the canary is cut this minute."""

import math
from collections.abc import Iterator

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.before import Sources, backends, kind_of, labels
from policies.checkpoint import CheckpointError
from policies.cluster import SERVICE_LABEL
from policies.rule import rule
from policies.steps import Step, step_of
from serinus.rollout.feasibility import check_headroom
from serinus.rollout.share import EVERYTHING


class Declared:
    """What this update has declared so far: pods by Deployment, and the Services behind each stable Ingress.

    The engine asks about a release's Deployment and the stable Ingress before the canary's Ingress, which depends on
    both. So a rise and the pods for it can come in one update.
    """

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], int] = {}
        self.stable: dict[tuple[str, str], tuple[str, ...]] = {}

    def note(self, args: ResourceValidationArgs) -> None:
        """Remember a resource that the rule will need."""
        service, kind = str(labels(args.props).get(SERVICE_LABEL, "")), kind_of(args)
        metadata = args.props.get("metadata") or {}
        namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        if service and kind == "Deployment":
            replicas = (args.props.get("spec") or {}).get("replicas")
            self.pods[namespace, name] = 1 if replicas is None else int(replicas)
        elif service and kind == "Ingress" and name == f"{service}-stable":
            self.stable[namespace, service] = backends(args.props)


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    declared = Declared()

    def refusals(args: ResourceValidationArgs) -> Iterator[str]:
        declared.note(args)
        try:
            step = step_of(args, sources)
        except CheckpointError:
            # What keeps the old weight from being known, weight-ladder says.
            return
        if step is not None and step.rises:
            namespace = str((args.props.get("metadata") or {}).get("namespace", ""))
            behind = declared.stable.get((namespace, step.service), ())
            pods = [[declared.pods.get((namespace, one)) for one in names] for names in (step.behind, behind)]
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
            "(canary-overloaded). Raise `replicas` in its release, or say in serinus:expected what a pod can carry."
        )
