"""The agent of a cluster, for those who install it by Pulumi: the very objects of `serinus install-agent`.

It belongs to the cluster and not to a service, so it goes into the program of whoever runs the cluster.
"""

import re
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout import agency
from serinus.rollout.agency_objects import Installation, installed

_KINDS: dict[str, Any] = {
    "Namespace": k8s.core.v1.Namespace,
    "ServiceAccount": k8s.core.v1.ServiceAccount,
    "Service": k8s.core.v1.Service,
    "ClusterRole": k8s.rbac.v1.ClusterRole,
    "ClusterRoleBinding": k8s.rbac.v1.ClusterRoleBinding,
    "Role": k8s.rbac.v1.Role,
    "RoleBinding": k8s.rbac.v1.RoleBinding,
    "Lease": k8s.coordination.v1.Lease,
    "PodDisruptionBudget": k8s.policy.v1.PodDisruptionBudget,
    "Deployment": k8s.apps.v1.Deployment,
}


@dataclass(frozen=True)
class ReleaseAgentArgs:
    """What an agent is made of. gateway_metrics: URLs. prometheus: empty for none."""

    image: str
    gateway_metrics: tuple[str, ...]
    prometheus: str = ""
    replicas: int = 2


class ReleaseAgent(pulumi.ComponentResource):
    """The agent, reachable by the Service serinus-agent in serinus-system on port 8080."""

    def __init__(self, args: ReleaseAgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"image": args.image, "replicas": args.replicas}
        super().__init__("serinus:components:ReleaseAgent", agency.NAME, inputs, opts)
        wanted = Installation(args.image, args.gateway_metrics, args.prometheus, args.replicas)
        before: list[pulumi.Resource] = []
        for document in installed(wanted, managed_by="pulumi"):
            content = {_snake(key): value for key, value in document.items() if key not in ("apiVersion", "kind")}
            # The Lease's content is the agent's.
            theirs = pulumi.ResourceOptions(parent=self, depends_on=before, ignore_changes=["spec"])
            ours = pulumi.ResourceOptions(parent=self, depends_on=before)
            kind = document["kind"]
            before = [*before, _KINDS[kind](agency.NAME, **content, opts=theirs if kind == "Lease" else ours)]
        self.register_outputs({"name": agency.NAME})


def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)
