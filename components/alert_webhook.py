"""The way of an alert to the agent: an AlertmanagerConfig that sends a service's alerts to it at once.

The token that makes the agent believe a message stays in its Secret; here stands only its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.alert_receiver import Receiver, operator_spec

API_VERSION = "monitoring.coreos.com/v1alpha1"


@dataclass(frozen=True)
class AlertWebhookArgs:
    """Who is told, and the labels by which the operator's Alertmanager picks its objects."""

    receiver: Receiver
    labels: Mapping[str, str] = field(default_factory=dict)


class AlertWebhook(pulumi.ComponentResource):
    """The AlertmanagerConfig of one service's agent."""

    def __init__(self, args: AlertWebhookArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        receiver = args.receiver
        inputs = {"service": receiver.service, "url": receiver.url}
        super().__init__("serinus:components:AlertWebhook", f"{receiver.service}-webhook", inputs, opts)
        k8s.apiextensions.CustomResource(
            receiver.service,
            api_version=API_VERSION,
            kind="AlertmanagerConfig",
            metadata={
                "name": receiver.service,
                "namespace": receiver.namespace,
                "labels": {
                    **args.labels,
                    "app.kubernetes.io/name": receiver.service,
                    "app.kubernetes.io/component": "alert-webhook",
                    "app.kubernetes.io/part-of": "serinus",
                    "app.kubernetes.io/managed-by": "pulumi",
                    "serinus.dev/service": receiver.service,
                },
            },
            spec=operator_spec(receiver),
            opts=pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None),
        )
        self.register_outputs({})
