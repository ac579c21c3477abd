"""A model service's Deployment as the program registers it, for the tests of the rules that look at pods."""

from collections.abc import Mapping
from typing import Any

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
URN = f"urn:pulumi:test::serinus::serinus:components:ModelService${DEPLOYMENT}::chat-v1"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def container(**changes: object) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/readyz", "port": "http"}}
    good: dict[str, Any] = {
        "name": "service",
        "image": f"registry.example.com/serving@{DIGEST}",
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "startupProbe": probe,
        "readinessProbe": probe,
        "livenessProbe": probe,
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    return good | changes


def template(*containers: Mapping[str, Any], labels: Mapping[str, str] | None = None, **spec: object) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"serinus.dev/service": "chat"} if labels is None else dict(labels)},
        "spec": {"terminationGracePeriodSeconds": 25, "containers": list(containers) or [container()]} | spec,
    }


def deployment(*containers: Mapping[str, Any], **pod: Any) -> dict[str, Any]:
    return {"metadata": {"name": "chat-v1"}, "spec": {"template": template(*containers, **pod)}}
