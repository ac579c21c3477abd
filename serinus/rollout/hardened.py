"""The least that a pod of Serinus' own needs of its node: no rights, no root, nothing to write on but what is mounted.

As Kubernetes writes it, for those who declare objects as plain documents and for Pulumi's alike.
"""

from typing import Any


def pod_security(user: int) -> dict[str, Any]:
    """Return the securityContext of a pod that runs as `user`."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Return the securityContext of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
