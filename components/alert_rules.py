"""The guards of a service in the cluster: rules for its Prometheus, and which pods it reads.

For clusters with the Prometheus operator. Where there is none, `serinus alerts` prints the same as plain files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.model_service import PORT_NAME

API_VERSION = "monitoring.coreos.com/v1"


@dataclass(frozen=True)
class AlertRulesArgs:
    """The groups of rules, and the labels by which the operator's Prometheus picks its objects."""

    service: str
    namespace: str
    groups: list[dict[str, Any]]
    labels: Mapping[str, str] = field(default_factory=dict)


class AlertRules(pulumi.ComponentResource):
    """The PrometheusRule and the PodMonitor of one service."""

    def __init__(self, args: AlertRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"service": args.service, "namespace": args.namespace}
        super().__init__("serinus:components:AlertRules", f"{args.service}-alerts", inputs, opts)
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": args.service,
            "namespace": args.namespace,
            "labels": {
                **args.labels,
                "app.kubernetes.io/name": args.service,
                "app.kubernetes.io/component": "alert-rules",
                "app.kubernetes.io/part-of": "serinus",
                "app.kubernetes.io/managed-by": "pulumi",
                "serinus.dev/service": args.service,
            },
        }
        child = pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        k8s.apiextensions.CustomResource(
            args.service,
            api_version=API_VERSION,
            kind="PrometheusRule",
            metadata=metadata,
            spec={"groups": args.groups},
            opts=child,
        )
        k8s.apiextensions.CustomResource(
            args.service,
            api_version=API_VERSION,
            kind="PodMonitor",
            metadata=metadata,
            spec={
                "selector": {
                    "matchLabels": {
                        "app.kubernetes.io/component": "model-service",
                        "serinus.dev/service": args.service,
                    }
                },
                # The fast guards look at 15 seconds: with fewer than three looks in them they would see nothing.
                "podMetricsEndpoints": [{"port": PORT_NAME, "path": "/metrics", "interval": "5s"}],
            },
            opts=child,
        )
        self.register_outputs({})
