"""One release of the LLM service, running: Deployment, Service, PodDisruptionBudget and the release's document.

Everything here is named after the release, so a second release runs beside it and taking over traffic never means
loading a model again. A pod counts only once its model is loaded; a pod that goes finishes its answers first.
"""

import json
from dataclasses import dataclass
from math import ceil

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.capacity import SCALED_NOTE
from serinus.rollout.manifest import Release

PORT_NAME = "http"
_PORT = 3000
_USER = 1034  # BentoML's images run as this user and group
_RELEASE_DIR = "/etc/serinus"
_RELEASE_FILE = "release.json"
HASH_KEY = "key"
"""The entry of a Secret that holds the key of all hashes."""
_KEY_DIR = "/etc/serinus-key"
_HOME = "/home/bentoml"

# Long enough for every gateway to hear that the pod is going: until then it still sends requests there, and a server
# that is shutting down no longer answers new connections.
_PRE_STOP_SECONDS = 5
_SHUTDOWN_SECONDS = 5
# A pod is in the Service's endpoints as soon as it is ready, but the Deployment waits this much longer. So whatever
# depends on the Deployment comes after the gateways know the pod, and the Service itself need not be waited for.
_MIN_READY_SECONDS = 3
_STARTUP_PERIOD_SECONDS = 2


@dataclass(frozen=True)
class NodeDirectory:
    """A directory of the node that pods read: absolute paths on the node and in the pod."""

    host_path: str
    mount_path: str


@dataclass(frozen=True)
class ModelServiceArgs:
    """What a ModelService is made of. All plain values: a preview must know every one of them."""

    service: str
    release: Release
    namespace: str
    gpu: int = 0
    node_directories: tuple[NodeDirectory, ...] = ()
    hash_key: str = ""
    """The name of the Secret with the key of all hashes, empty for none."""
    born_pods: int | None = None
    """The pods that it is born with, where something else counts them from then on. None: those of the release."""


class ModelService(pulumi.ComponentResource):
    """A release of the service with everything it needs to take requests, but no traffic yet."""

    service_name: str
    """The name of the Service, `<service>-<release name>`; its port is called PORT_NAME."""

    def __init__(self, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        release = args.release
        name = f"{args.service}-{release.name}"
        inputs = {"service": args.service, "release": release.id, "namespace": args.namespace, "gpu": args.gpu}
        super().__init__("serinus:components:ModelService", name, inputs, opts)
        # Children also wait for what the component waits for; else the namespace could go before them.
        child = pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        selector = {"app.kubernetes.io/name": args.service, "app.kubernetes.io/instance": name}
        labels = selector | {
            "app.kubernetes.io/version": release.id,
            "app.kubernetes.io/component": "model-service",
            "app.kubernetes.io/part-of": "serinus",
            "app.kubernetes.io/managed-by": "pulumi",
            "serinus.dev/service": args.service,
            "serinus.dev/release": release.id,
        }
        document_name = f"{args.service}-{release.id}"
        document = k8s.core.v1.ConfigMap(
            document_name,
            metadata={"name": document_name, "namespace": args.namespace, "labels": labels},
            immutable=True,
            data={_RELEASE_FILE: json.dumps(release.document(), sort_keys=True, ensure_ascii=False)},
            opts=child,
        )
        pods = args.born_pods or release.replicas
        scaled: dict[str, dict[str, str]] = {} if args.born_pods is None else {"annotations": {SCALED_NOTE: "true"}}
        k8s.apps.v1.Deployment(
            name,
            metadata={"name": name, "namespace": args.namespace, "labels": labels, **scaled},
            spec={
                "replicas": pods,
                "selector": {"match_labels": selector},
                "strategy": {
                    "type": "RollingUpdate",
                    # One at a time: a further pod may need a further GPU.
                    "rolling_update": {"max_unavailable": 0, "max_surge": 1},
                },
                "min_ready_seconds": _MIN_READY_SECONDS,
                "progress_deadline_seconds": _patience_seconds(release),
                "template": {
                    "metadata": {"labels": labels},
                    "spec": _pod(args, document_name),
                },
            },
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    depends_on=[document],
                    ignore_changes=None if args.born_pods is None else ["spec.replicas"],
                    custom_timeouts=pulumi.CustomTimeouts(
                        create=f"{_patience_seconds(release)}s",
                        update=f"{_patience_seconds(release) * pods}s",
                    ),
                ),
            ),
        )
        k8s.core.v1.Service(
            name,
            metadata={
                "name": name,
                "namespace": args.namespace,
                "labels": labels,
                "annotations": {"pulumi.com/skipAwait": "true"},
            },
            spec={
                "selector": selector,
                "ports": [{"name": PORT_NAME, "port": 80, "target_port": PORT_NAME, "protocol": "TCP"}],
            },
            opts=child,
        )
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata={"name": name, "namespace": args.namespace, "labels": labels},
            spec={
                "selector": {"match_labels": selector},
                **_evictable(args),
                # A pod that does not serve protects nobody and must not block the drain of its node.
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
            },
            opts=child,
        )
        self.service_name = name
        self.register_outputs({"serviceName": name, "releaseId": release.id})


def _evictable(args: ModelServiceArgs) -> k8s.policy.v1.PodDisruptionBudgetSpecArgsDict:
    """The only pod of a release is never evicted: until another has loaded the model, nobody would answer."""
    if args.born_pods is not None:
        # In words that fit any number: else this object, which the traffic waits for, would change with its share.
        return {"min_available": "50%"}
    return {"max_unavailable": 1 if args.release.replicas > 1 else 0}


def _patience_seconds(release: Release) -> int:
    return release.load_seconds + _MIN_READY_SECONDS


def _pod(args: ModelServiceArgs, document_name: str) -> k8s.core.v1.PodSpecArgsDict:
    release = args.release
    gpu = {"nvidia.com/gpu": str(args.gpu)} if args.gpu else {}
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": "release", "mount_path": _RELEASE_DIR, "read_only": True},
        {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a directory of the pod's own, an emptyDir
        {"name": "home", "mount_path": _HOME},
    ]
    volumes: list[k8s.core.v1.VolumeArgsDict] = [
        {"name": "release", "config_map": {"name": document_name}},
        {"name": "tmp", "empty_dir": {}},
        {"name": "home", "empty_dir": {}},
    ]
    for number, directory in enumerate(args.node_directories):
        volumes.append({"name": f"node-{number}", "host_path": {"path": directory.host_path, "type": "Directory"}})
        mounts.append({"name": f"node-{number}", "mount_path": directory.mount_path, "read_only": True})
    key_file: list[k8s.core.v1.EnvVarArgsDict] = []
    if args.hash_key:
        volumes.append({"name": "hash-key", "secret": {"secret_name": args.hash_key}})
        mounts.append({"name": "hash-key", "mount_path": _KEY_DIR, "read_only": True})
        key_file.append({"name": "SERINUS_KEY_FILE", "value": f"{_KEY_DIR}/{HASH_KEY}"})
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": _PRE_STOP_SECONDS + release.drain_seconds + _SHUTDOWN_SECONDS,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": _USER,
            "run_as_group": _USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}] if gpu else [],
        "containers": [
            {
                "name": "service",
                "image": release.image,
                "image_pull_policy": "IfNotPresent",
                "command": ["python3", "-m", "bentoml"],
                "args": ["serve", "service:ChatService", "--port", str(_PORT)],
                "ports": [{"name": PORT_NAME, "container_port": _PORT, "protocol": "TCP"}],
                "env": [
                    {"name": "SERINUS_RELEASE_FILE", "value": f"{_RELEASE_DIR}/{_RELEASE_FILE}"},
                    {"name": "HOME", "value": _HOME},
                    {"name": "BENTOML_HOME", "value": f"{_HOME}/bentoml"},
                    # BentoML reports its use to its makers unless told not to.
                    {"name": "BENTOML_DO_NOT_TRACK", "value": "True"},
                    # Who asked gets a clean error from a pod that goes, rather than half an answer.
                    {"name": "SERINUS_DEADLINE_SECONDS", "value": str(release.drain_seconds)},
                    *key_file,
                ],
                "resources": {
                    "requests": {"cpu": release.resources.cpu, "memory": release.resources.memory},
                    # No limit on the CPU: throttling would slow answers down while the node is idle.
                    "limits": {"memory": release.resources.memory} | gpu,
                },
                # While the model loads, the socket accepts connections that nobody answers: only a request tells.
                "startup_probe": {
                    "http_get": {"path": "/readyz", "port": PORT_NAME},
                    "period_seconds": _STARTUP_PERIOD_SECONDS,
                    "timeout_seconds": _STARTUP_PERIOD_SECONDS,
                    "failure_threshold": ceil(release.load_seconds / _STARTUP_PERIOD_SECONDS),
                },
                "readiness_probe": {
                    "http_get": {"path": "/readyz", "port": PORT_NAME},
                    "period_seconds": 5,
                    "timeout_seconds": 5,
                    "failure_threshold": 3,
                },
                "liveness_probe": {
                    "http_get": {"path": "/livez", "port": PORT_NAME},
                    "period_seconds": 10,
                    "timeout_seconds": 5,
                    "failure_threshold": 6,
                },
                "lifecycle": {"pre_stop": {"sleep": {"seconds": _PRE_STOP_SECONDS}}},
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
