"""The pod of a bucketer: small, without rights, and gone only after every gateway has heard of it."""

import pulumi_kubernetes as k8s

from components.model_service import PORT_NAME
from serinus.rollout.hardened import container_security, pod_security

CONFIG_FILE = "config.json"
_CONFIG_DIR = "/etc/serinus-bucketer"
_PORT = 8080
_USER = 1034
# Until every gateway has heard that a pod goes it still asks it.
_PRE_STOP_SECONDS = 5


def pod(name: str, image: str, selector: dict[str, str]) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod. Its configuration is `CONFIG_FILE` of the Secret `name`; `selector` finds its kin."""
    probe: k8s.core.v1.ProbeArgsDict = {
        "http_get": {"path": "/readyz", "port": PORT_NAME},
        "period_seconds": 2,
        "timeout_seconds": 5,
    }
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": _PRE_STOP_SECONDS + 5,
        "security_context": pod_security(_USER),
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": "kubernetes.io/hostname",
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": selector},
            }
        ],
        "containers": [
            {
                "name": "bucketer",
                "image": image,
                "image_pull_policy": "IfNotPresent",
                "command": ["python3", "-m", "serinus.bucketer", f"{_CONFIG_DIR}/{CONFIG_FILE}"],
                "ports": [{"name": PORT_NAME, "container_port": _PORT, "protocol": "TCP"}],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "48Mi"},
                    "limits": {"memory": "128Mi"},
                },
                "readiness_probe": probe,
                "liveness_probe": {**probe, "period_seconds": 10, "failure_threshold": 6},
                "lifecycle": {"pre_stop": {"sleep": {"seconds": _PRE_STOP_SECONDS}}},
                "security_context": container_security(),
                "volume_mounts": [{"name": "config", "mount_path": _CONFIG_DIR, "read_only": True}],
            }
        ],
        "volumes": [{"name": "config", "secret": {"secret_name": name, "default_mode": 0o440}}],
    }
