"""Argo Rollouts at the fastest settings that it takes: a measurement every 5 seconds, and the first bad one aborts."""

from typing import Any

from bench.against import echo
from bench.against.programs import ARGO, ARGO_MODULE
from local import gateway, golang
from local.places import KUBECONFIG, Network
from serinus.rollout.alert_queries import gateway_label

NAMESPACE = "bench-argo"
EVERY = "5s"
_API = "argoproj.io/v1alpha1"


def command() -> list[str]:
    """The controller; it leads at once and works in its own namespace only."""
    program = golang.build(ARGO)
    classes = f"--nginx-ingress-classes={gateway.CLASS}"
    where = (f"--kubeconfig={KUBECONFIG}", f"--namespace={NAMESPACE}", "--namespaced")
    return [str(program), *where, "--leader-elect=false", classes, "--loglevel=warn"]


def definitions() -> list[str]:
    """The files that define its kinds, out of its own module."""
    return sorted(
        str(file) for file in (golang.sources(ARGO.pins, ARGO_MODULE) / "manifests" / "crds").glob("*-crd.yaml")
    )


def objects(net: Network) -> list[dict[str, Any]]:
    """All that it needs for its first release, which becomes the stable one at once."""
    measured = {
        "name": "errors",
        "interval": EVERY,
        "failureLimit": 0,
        "failureCondition": "len(result) > 0 && result[0] > 0.05",
        "provider": {"prometheus": {"address": net.prometheus, "query": echo.errors(canary_name())}},
    }
    template = {"apiVersion": _API, "kind": "AnalysisTemplate", "metadata": {"name": "errors"}}
    return [
        *(echo.service(name) for name in ("chat-stable", "chat-canary")),
        echo.ingress(NAMESPACE, "chat-stable"),
        {**template, "spec": {"metrics": [measured]}},
        release("v1"),
    ]


def release(name: str) -> dict[str, Any]:
    """The Rollout with this release; every one after the first goes to 20 % and stays there."""
    strategy = {
        "canary": {
            "stableService": "chat-stable",
            "canaryService": "chat-canary",
            "trafficRouting": {"nginx": {"stableIngress": "chat-stable"}},
            "steps": [{"setWeight": 20}, {"pause": {}}],
            "analysis": {"templates": [{"templateName": "errors"}], "startingStep": 1},
        }
    }
    return echo.workload("Rollout", _API, name, strategy=strategy)


def canary_name() -> str:
    """What the gateway calls the canary in its counters."""
    return gateway_label(NAMESPACE, "chat-stable", "chat-stable", "http", canary=True)
