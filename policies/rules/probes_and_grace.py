"""A model service comes and goes without losing a request: it says when it is ready, and has time to finish."""

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.rule import rule
from policies.workloads import model_containers

_PRE_STOP_SECONDS = 5
_DRAIN_SECONDS = 5
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_DEFAULT_GRACE_SECONDS = 30


def _refusals(args: ResourceValidationArgs) -> Iterator[str]:
    config = args.get_config()
    least_pre_stop = config.get("preStopSeconds", _PRE_STOP_SECONDS)
    least_drain = config.get("drainSeconds", _DRAIN_SECONDS)
    for container, pod in model_containers(args):
        name = container.get("name")
        for probe in _PROBES:
            if not _asks(container.get(probe) or {}):
                yield (
                    f"the container {name!r} has no {probe} that asks the service itself. While a model loads its "
                    "socket is open, so the probe must be httpGet, grpc or exec."
                )
        waits = ((container.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
        pre_stop = waits.get("seconds") or 0
        if pre_stop < least_pre_stop:
            yield (
                f"the container {name!r} sleeps {pre_stop:g} s before it stops, not {least_pre_stop:g} s or more. "
                "For so long gateways still send requests to a pod that goes."
            )
        grace = _grace(pod)
        if grace - pre_stop < least_drain:
            yield (
                f"the pod has {grace:g} s from its end's announcement to its end, of which {pre_stop:g} s are preStop. "
                f"At least {least_drain:g} s must remain for answers under way."
            )


def _asks(probe: Mapping[str, Any]) -> bool:
    return any(probe.get(way) for way in ("httpGet", "grpc", "exec"))


def _grace(pod: Mapping[str, Any]) -> float:
    seconds = pod.get("terminationGracePeriodSeconds")
    return _DEFAULT_GRACE_SECONDS if seconds is None else float(seconds)


RULE: ResourceValidationPolicy = rule(
    "probes-and-grace",
    "A model service gets requests only while it can answer them, and finishes those it has.",
    _refusals,
    severity=Severity.HIGH,
    forgives=True,
    remedy="Use ModelService, and set the release's drain_seconds to its longest answer.",
    config={
        "preStopSeconds": {"type": "number", "minimum": 0, "default": _PRE_STOP_SECONDS},
        "drainSeconds": {"type": "number", "minimum": 0, "default": _DRAIN_SECONDS},
    },
)
