"""The agent's objects as plain documents: those of the cluster, installed once, and a stack's, by which it is bound.

Cluster-wide the agent may only see that there are CanaryReleases. All else it may do by a Role in a namespace whose
stack wants it, and that Role names each object that Kubernetes lets it name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serinus.rollout import agency
from serinus.rollout.book import book_name, evidence_name, old_book_name
from serinus.rollout.canary_release import GROUP, PLURAL
from serinus.rollout.hardened import container_security, pod_security

COMPONENT = "release-agent"
"""What the label app.kubernetes.io/component says of the agent."""
_RBAC = "rbac.authorization.k8s.io"
_USER = 65532
_SELECTOR = {"app.kubernetes.io/name": agency.NAME}


@dataclass(frozen=True, slots=True)
class Installation:
    """What an agent is installed with. gateway: URLs of the gateway's metrics. prometheus: a URL, empty for none."""

    image: str
    gateway: Sequence[str]
    prometheus: str = ""
    replicas: int = 2


def installed(wanted: Installation, managed_by: str = "serinus") -> list[dict[str, Any]]:
    """Return the objects of the agent itself, in the order in which they are to be made."""
    own = labels(agency.NAME, managed_by)
    head = {"name": agency.NAME, "labels": own}
    inside = {**head, "namespace": agency.NAMESPACE}
    # Without the rights to see the definition itself: it may be installed later.
    seeing = [_rule(GROUP, PLURAL, "get", "list", "watch")]
    leading = [_rule("coordination.k8s.io", "leases", "get", "update", names=[agency.NAME])]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": agency.NAMESPACE, "labels": own}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside},
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": head, "rules": seeing},
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": head, **_granted("ClusterRole")},
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": inside, "rules": leading},
        {"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": inside, **_granted("Role")},
        # Its content is the agent's: here it is only there.
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": inside},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": inside,
            "spec": {
                "selector": _SELECTOR,
                "ports": [{"name": "http", "port": agency.PORT, "targetPort": "http", "protocol": "TCP"}],
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": inside,
            "spec": {"selector": {"matchLabels": _SELECTOR}, "maxUnavailable": 1},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": inside,
            "spec": {
                "replicas": wanted.replicas,
                "selector": {"matchLabels": _SELECTOR},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {"metadata": {"labels": own}, "spec": _pod(wanted)},
            },
        },
    ]


def binding_rules(service: str, notices_secret: str = "") -> list[dict[str, Any]]:
    """Return what the agent may do in the namespace of a service that binds it."""
    return [
        _rule(
            "", "secrets", "get", names=[agency.binding_name(service), *([notices_secret] if notices_secret else [])]
        ),
        _rule(GROUP, f"{PLURAL}/status", "patch", names=[service]),
        _rule("networking.k8s.io", "ingresses", "get", "patch", names=[f"{service}-canary"]),
        _rule("", "configmaps", "get", "patch", "update", names=books(service)),
        _rule("", "events", "create"),
        # The last words of a canary that was cut are part of the evidence.
        _rule("", "pods", "get", "list"),
        _rule("", "pods/log", "get"),
    ]


def books(service: str) -> list[str]:
    """Return the names of the ConfigMaps that the agent writes a service's ledger and evidence into."""
    return [book_name(service), old_book_name(service), evidence_name(service)]


def labels(name: str, managed_by: str) -> dict[str, str]:
    """Return the labels of an object of the agent's, or of one by which the service `name` binds it."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": COMPONENT,
        "app.kubernetes.io/part-of": "serinus",
        "app.kubernetes.io/managed-by": managed_by,
    }


def _rule(group: str, resource: str, *verbs: str, names: Sequence[str] = ()) -> dict[str, Any]:
    only = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **only}


def _granted(kind: str) -> dict[str, Any]:
    return {
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": agency.NAME},
        "subjects": [dict(agency.SUBJECT)],
    }


def _pod(wanted: Installation) -> dict[str, Any]:
    environment = {
        "SERINUS_AGENT_GATEWAY": " ".join(wanted.gateway),
        "SERINUS_AGENT_PROMETHEUS": wanted.prometheus,
        "SERINUS_AGENT_PORT": str(agency.PORT),
    }
    of_the_pod = {"SERINUS_AGENT_IDENTITY": "metadata.name", "SERINUS_AGENT_NAMESPACE": "metadata.namespace"}
    return {
        "serviceAccountName": agency.NAME,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 15,
        "securityContext": pod_security(_USER),
        # Two replicas on one node share its end.
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _SELECTOR},
            }
        ],
        "containers": [
            {
                "name": "agent",
                "image": wanted.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python3", "-m", "serinus.agent"],
                "ports": [{"name": "http", "containerPort": agency.PORT, "protocol": "TCP"}],
                "env": [
                    *({"name": key, "value": value} for key, value in environment.items()),
                    *(
                        {"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                        for key, path in of_the_pod.items()
                    ),
                ],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "160Mi"},
                    # No limit on the CPU: a cut must never wait for a quota.
                    "limits": {"memory": "300Mi"},
                },
                "startupProbe": _probe("/healthz", 2, 45),
                "readinessProbe": _probe("/readyz", 5, 3),
                "livenessProbe": _probe("/healthz", 10, 3),
                "securityContext": container_security(),
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 (an emptyDir of the pod's own)
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
    }


def _probe(path: str, seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
