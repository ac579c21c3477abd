"""A service in a cluster as the rules see it: what there was, put together by a test, and asked of its rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from policies.before import Sources
from policies.cluster import ClusterError, Live
from policies.rules import rules
from serinus.rollout import share
from tests.parity_cases import GENERATION, SPEC, annotations
from tests.policies.direct import refusals
from tests.policies.model_pod import DEPLOYMENT, template
from tests.policies.pack import INGRESS, URN, ingress, labelled
from tests.rollout.step_cases import NOW, PASSING

V1, V2, V3 = "v1-5b1de7aa", "v2-0f3a9c21", "v3-77777777"


def canary(weight: int, backend: str = "chat-v2", written: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The canary Ingress."""
    return labelled(ingress(None, backend), annotations(weight) if written is None else written)


def stable(backend: str = "chat-v1", previous: str = "") -> dict[str, Any]:
    """The stable Ingress."""
    note = {"serinus.dev/previous": previous} if previous else {}
    return labelled(ingress(None, backend), note, "chat-stable")


def deployment(release: str, replicas: float | None = 1) -> dict[str, Any]:
    """The Deployment of a release; the engine hands numbers over as floats."""
    made = labelled(
        {"metadata": {}, "spec": {"replicas": replicas, "template": template()}}, {}, f"chat-{release[:-9]}"
    )
    made["metadata"]["labels"]["serinus.dev/release"] = release
    return made


@dataclass
class World:
    """What there was before an update. `release` None: no CanaryRelease; `unread`: why the cluster can't be asked."""

    ingresses: list[dict[str, Any]] = field(default_factory=lambda: [stable(), canary(5)])
    deployments: list[dict[str, Any]] = field(default_factory=lambda: [deployment(V1), deployment(V2)])
    release: dict[str, Any] | None = None
    unread: str = ""

    def guarded(self, status: Mapping[str, Any] | None = None, **spec: Any) -> "World":
        """Add a CanaryRelease whose canary may rise from 5 to 20, changed by `status` and `spec`."""
        whole = {"service": "chat", "host": "chat.example.com", **SPEC, **spec}
        self.release = {"metadata": {"generation": GENERATION}, "spec": whole, "status": {**PASSING, **(status or {})}}
        return self

    def sources(self) -> Sources:
        """Answer as the cluster does, or where it is away, as the checkpoint does."""

        def live(args: object) -> Live:
            if self.unread:
                raise ClusterError(self.unread)
            return Live(
                {one["metadata"]["name"]: one for one in self.ingresses},
                {one["metadata"]["name"]: one for one in self.deployments},
                self.release,
            )

        states = [
            {"urn": f"{URN.removesuffix('chat-canary')}{one['metadata']['name']}", "type": kind, "outputs": one}
            for kind, documents in ((INGRESS, self.ingresses), (DEPLOYMENT, self.deployments))
            for one in documents
        ]
        return Sources(lambda urn: list(states), live, lambda: datetime.fromisoformat(NOW).astimezone(UTC))

    def said(self, *update: Mapping[str, Any], rule: str = "") -> list[str]:
        """Ask about an update, resource by resource; by name one rule, else all that look at changes."""
        asked = [one for one in rules(self.sources()) if one.name == rule or (not rule and one.name not in _OF_PODS)]
        assert asked, rule
        return [
            f"{one.name}: {message}"
            for props in update
            for one in asked
            for message in refusals(
                one,
                INGRESS if "rules" in props["spec"] else DEPLOYMENT,
                props,
                f"{URN.removesuffix('chat-canary')}{props['metadata']['name']}",
            )
        ]


_OF_PODS = {"image-pinned-by-digest", "gpu-requested", "probes-and-grace", "no-secrets-in-annotations"}
HEADER = share.HEADER
