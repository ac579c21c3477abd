"""How many pods a release has, where that follows its share: kept by the cluster, and no matter of the Deployment's.

A Deployment with another number of pods is a change that the engine waits for, until every pod is ready. The share of
the traffic must never wait for that when it falls. So the number stands in an object of its own that nothing depends
on: the engine changes it at the same time as the share, and the cluster follows within seconds.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.capacity import Autoscale


@dataclass(frozen=True)
class PodCountArgs:
    """The Deployment `<service>-<release>` has `least` pods, or with autoscale as many more as it is busy."""

    service: str
    release: str
    namespace: str
    least: int
    autoscale: Autoscale | None = None


class PodCount(pulumi.ComponentResource):
    """A HorizontalPodAutoscaler, whose lower bound is what the share asks for."""

    def __init__(self, args: PodCountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        name = f"{args.service}-{args.release}"
        scale = args.autoscale
        # The least is not among the inputs: the one place of the state that says it is the object.
        inputs = {"service": args.service, "release": args.release}
        super().__init__("serinus:components:PodCount", f"{name}-pods", inputs, opts)
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            name,
            metadata={
                "name": name,
                "namespace": args.namespace,
                "labels": {
                    "app.kubernetes.io/name": args.service,
                    "app.kubernetes.io/instance": name,
                    "app.kubernetes.io/component": "pod-count",
                    "app.kubernetes.io/part-of": "serinus",
                    "app.kubernetes.io/managed-by": "pulumi",
                    "serinus.dev/service": args.service,
                },
            },
            spec={
                "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": name},
                "min_replicas": args.least,
                "max_replicas": max(args.least, scale.most) if scale else args.least,
                **({"metrics": [_busy(scale)]} if scale else {}),
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None),
        )
        self.register_outputs({})


def _busy(scale: Autoscale) -> k8s.autoscaling.v2.MetricSpecArgsDict:
    target: k8s.autoscaling.v2.MetricTargetArgsDict = {
        "type": "Utilization",
        "average_utilization": scale.cpu_percent,
    }
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
