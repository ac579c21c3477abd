"""The service's dashboard, as a ConfigMap that Grafana's sidecar picks up by its label."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.dashboard import dashboard

PICKED_UP = "grafana_dashboard"
"""The label by which the sidecar of Grafana's chart finds dashboards, by its default."""


@dataclass(frozen=True)
class DashboardArgs:
    """Whose dashboard, and further labels for a sidecar that looks for others."""

    service: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


class Dashboard(pulumi.ComponentResource):
    """The ConfigMap with one service's dashboard."""

    def __init__(self, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"service": args.service, "namespace": args.namespace}
        super().__init__("serinus:components:Dashboard", f"{args.service}-dashboard", inputs, opts)
        name = f"{args.service}-dashboard"
        model = dashboard(args.service, args.namespace)
        k8s.core.v1.ConfigMap(
            name,
            metadata={
                "name": name,
                "namespace": args.namespace,
                "labels": {
                    **args.labels,
                    PICKED_UP: "1",
                    "app.kubernetes.io/name": args.service,
                    "app.kubernetes.io/component": "dashboard",
                    "app.kubernetes.io/part-of": "serinus",
                    "app.kubernetes.io/managed-by": "pulumi",
                    "serinus.dev/service": args.service,
                },
            },
            data={f"{args.namespace}-{args.service}.json": json.dumps(model, sort_keys=True)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None),
        )
        self.register_outputs({})
