"""Flagger at the fastest settings that it takes: a look every 10 seconds, its least, and one bad one rolls back."""

from typing import Any

from bench.against import echo
from bench.against.programs import FLAGGER, FLAGGER_MODULE
from local import golang
from local.places import KUBECONFIG, Network
from serinus.rollout.alert_queries import gateway_label

NAMESPACE = "bench-flagger"
EVERY = "10s"
_API = "flagger.app/v1beta1"
# It must move at each look, and the last step promotes: far enough away to break the canary before.
_STEPS = [20, *range(21, 60)]


def command(net: Network) -> list[str]:
    """The controller; it works in its own namespace only."""
    where = (f"-kubeconfig={KUBECONFIG}", f"-namespace={NAMESPACE}", f"-metrics-server={net.prometheus}")
    words = ("-mesh-provider=nginx", "-enable-config-tracking=false", "-log-level=info", "-control-loop-interval=1s")
    return [str(golang.build(FLAGGER)), *where, *words]


def definitions() -> list[str]:
    """The file that defines its kinds, out of its own module."""
    return [str(golang.sources(FLAGGER.pins, FLAGGER_MODULE) / "artifacts" / "flagger" / "crd.yaml")]


def objects(net: Network) -> list[dict[str, Any]]:
    """All that it needs for its first release, which becomes the stable one at once."""
    template = {
        "apiVersion": _API,
        "kind": "MetricTemplate",
        "metadata": {"name": "errors"},
        "spec": {
            "provider": {"type": "prometheus", "address": net.prometheus},
            "query": echo.errors(canary_name()),
        },
    }
    measured = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 0.05}, "interval": "15s"}
    canary = {
        "apiVersion": _API,
        "kind": "Canary",
        "metadata": {"name": "chat"},
        "spec": {
            "provider": "nginx",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
            "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "chat-stable"},
            "progressDeadlineSeconds": 120,
            "service": {"port": 80, "targetPort": "http", "portName": "http"},
            "analysis": {"interval": EVERY, "threshold": 1, "stepWeights": _STEPS, "metrics": [measured]},
        },
    }
    return [release("v1"), echo.ingress(NAMESPACE, "chat"), template, canary]


def release(name: str) -> dict[str, Any]:
    """The Deployment with this release. How many pods it has is the controller's to say."""
    made = echo.workload("Deployment", "apps/v1", name)
    del made["spec"]["replicas"]
    return made


def canary_name() -> str:
    """What the gateway calls the canary in its counters."""
    return gateway_label(NAMESPACE, "chat-stable", "chat", "http", canary=True)
