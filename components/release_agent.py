"""The agent of one service: Deployment, what it may do, and the objects that it writes into.

What it writes into is declared here, so it may change these objects and create none: its Role names each of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.admission import Guarded
from serinus.rollout.book import book_name, evidence_name, old_book_name
from serinus.rollout.canary_release import GROUP, PLURAL

TOKEN_KEY = "token"  # noqa: S105 (the name of a key in a Secret)
PORT = 8080
_USER = 65532
_TOKEN_DIR = "/etc/serinus-agent"  # noqa: S105 (a directory)
_NOTICES_DIR = "/etc/serinus-notices"


@dataclass(frozen=True)
class ReleaseAgentArgs:
    """What an agent is made of. The token proves who alerts it; all else is plain.

    gateway_metrics: URLs. prometheus, notices_secret: empty for none. blind_hold_seconds: 0 for never.
    """

    service: str
    namespace: str
    image: str
    replicas: int
    gateway_metrics: Sequence[str]
    token: pulumi.Output[str]
    prometheus: str = ""
    blind_hold_seconds: int = 120
    notices_secret: str = ""


class ReleaseAgent(pulumi.ComponentResource):
    """The agent, reachable by the Service `<service>-agent` on port 8080."""

    def __init__(self, args: ReleaseAgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        name = Guarded(args.service, args.namespace, "").agent_account
        inputs = {"service": args.service, "image": args.image, "replicas": args.replicas}
        super().__init__("serinus:components:ReleaseAgent", name, inputs, opts)
        self._args, self._name = args, name
        self._child = pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        labels = {"app.kubernetes.io/name": args.service, "app.kubernetes.io/instance": name}
        self._labels = labels | {
            "app.kubernetes.io/component": "release-agent",
            "app.kubernetes.io/part-of": "serinus",
            "app.kubernetes.io/managed-by": "pulumi",
        }
        account = k8s.core.v1.ServiceAccount(name, metadata=self._metadata(name), opts=self._child)
        token = k8s.core.v1.Secret(
            f"{name}-token",
            metadata=self._metadata(f"{name}-token"),
            string_data={TOKEN_KEY: args.token},
            opts=self._child,
        )
        needed = [account, token, *self._rights(), *self._written_into()]
        k8s.core.v1.Service(
            name,
            metadata={**self._metadata(name), "annotations": {"pulumi.com/skipAwait": "true"}},
            spec={"selector": labels, "ports": [{"name": "http", "port": PORT, "target_port": "http"}]},
            opts=self._child,
        )
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata=self._metadata(name),
            spec={"selector": {"match_labels": labels}, "max_unavailable": 1},
            opts=self._child,
        )
        k8s.apps.v1.Deployment(
            name,
            metadata=self._metadata(name),
            spec={
                "replicas": args.replicas,
                "selector": {"match_labels": labels},
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "template": {"metadata": {"labels": self._labels}, "spec": self._pod()},
            },
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=needed)),
        )
        self.register_outputs({"name": name})

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {"name": name, "namespace": self._args.namespace, "labels": self._labels}

    def _written_into(self) -> list[pulumi.Resource]:
        """The books and the Lease. Their content is the agent's: the stack says only that they are there."""
        service = self._args.service
        books = [
            k8s.core.v1.ConfigMap(
                book,
                metadata=self._metadata(book),
                opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(ignore_changes=["data"])),
            )
            for book in (book_name(service), old_book_name(service), evidence_name(service))
        ]
        lease = k8s.coordination.v1.Lease(
            self._name,
            metadata=self._metadata(self._name),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(ignore_changes=["spec"])),
        )
        return [*books, lease]

    def _rights(self) -> list[pulumi.Resource]:
        args, name = self._args, self._name
        books = [book_name(args.service), old_book_name(args.service), evidence_name(args.service)]
        ingress = [Guarded(args.service, args.namespace, "").canary_ingress]
        role = k8s.rbac.v1.Role(
            name,
            metadata=self._metadata(name),
            rules=[
                _rule(GROUP, PLURAL, "get", "list", "watch"),
                _rule(GROUP, f"{PLURAL}/status", "patch", names=[args.service]),
                _rule("networking.k8s.io", "ingresses", "get", "patch", names=ingress),
                _rule("coordination.k8s.io", "leases", "get", "update", names=[name]),
                _rule("", "configmaps", "get", "patch", "update", names=books),
                _rule("", "events", "create"),
                # The last words of a canary that was cut are part of the evidence.
                _rule("", "pods", "get", "list"),
                _rule("", "pods/log", "get"),
            ],
            opts=self._child,
        )
        binding = k8s.rbac.v1.RoleBinding(
            name,
            metadata=self._metadata(name),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": args.namespace}],
            opts=self._child,
        )
        return [role, binding]

    def _environment(self) -> Mapping[str, str]:
        args = self._args
        return {
            "SERINUS_AGENT_SERVICE": args.service,
            "SERINUS_AGENT_NAMESPACE": args.namespace,
            "SERINUS_AGENT_GATEWAY": " ".join(args.gateway_metrics),
            "SERINUS_AGENT_PROMETHEUS": args.prometheus,
            "SERINUS_AGENT_PORT": str(PORT),
            "SERINUS_AGENT_TOKEN_FILE": f"{_TOKEN_DIR}/{TOKEN_KEY}",
            "SERINUS_AGENT_NOTICES": _NOTICES_DIR if args.notices_secret else "",
            "SERINUS_AGENT_BLIND_HOLD_SECONDS": str(args.blind_hold_seconds),
        }

    def _pod(self) -> k8s.core.v1.PodSpecArgsDict:
        args = self._args
        mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
            {"name": "token", "mount_path": _TOKEN_DIR, "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a directory of the pod's own, an emptyDir
        ]
        volumes: list[k8s.core.v1.VolumeArgsDict] = [
            {"name": "token", "secret": {"secret_name": f"{self._name}-token"}},
            {"name": "tmp", "empty_dir": {"medium": "Memory", "size_limit": "16Mi"}},
        ]
        if args.notices_secret:
            mounts.append({"name": "notices", "mount_path": _NOTICES_DIR, "read_only": True})
            volumes.append({"name": "notices", "secret": {"secret_name": args.notices_secret}})
        own_name: k8s.core.v1.EnvVarArgsDict = {
            "name": "SERINUS_AGENT_IDENTITY",
            "value_from": {"field_ref": {"field_path": "metadata.name"}},
        }
        return {
            "service_account_name": self._name,
            "enable_service_links": False,
            "termination_grace_period_seconds": 15,
            "security_context": {
                "run_as_non_root": True,
                "run_as_user": _USER,
                "run_as_group": _USER,
                "fs_group": _USER,
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
            # Two replicas on one node share its end.
            "topology_spread_constraints": [
                {
                    "max_skew": 1,
                    "topology_key": "kubernetes.io/hostname",
                    "when_unsatisfiable": "ScheduleAnyway",
                    "label_selector": {"match_labels": {"app.kubernetes.io/instance": self._name}},
                }
            ],
            "containers": [
                {
                    "name": "agent",
                    "image": args.image,
                    "image_pull_policy": "IfNotPresent",
                    "command": ["python3", "-m", "serinus.agent"],
                    "ports": [{"name": "http", "container_port": PORT, "protocol": "TCP"}],
                    "env": [*({"name": key, "value": value} for key, value in self._environment().items()), own_name],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "128Mi"},
                        # No limit on the CPU: a cut must never wait for a quota.
                        "limits": {"memory": "512Mi"},
                    },
                    "startup_probe": _probe("/healthz", 2, 45),
                    "readiness_probe": _probe("/readyz", 5, 3),
                    "liveness_probe": _probe("/healthz", 10, 3),
                    "security_context": {
                        "allow_privilege_escalation": False,
                        "read_only_root_filesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volume_mounts": mounts,
                }
            ],
            "volumes": volumes,
        }


def _rule(group: str, resource: str, *verbs: str, names: Sequence[str] = ()) -> k8s.rbac.v1.PolicyRuleArgsDict:
    only: k8s.rbac.v1.PolicyRuleArgsDict = {"resource_names": list(names)} if names else {}
    return {"api_groups": [group], "resources": [resource], "verbs": list(verbs), **only}


def _probe(path: str, seconds: int, failures: int) -> k8s.core.v1.ProbeArgsDict:
    return {
        "http_get": {"path": path, "port": "http"},
        "period_seconds": seconds,
        "timeout_seconds": 5,
        "failure_threshold": failures,
    }
