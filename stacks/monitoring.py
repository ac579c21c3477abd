"""What watches the service from outside: the guards as rules for the cluster's Prometheus, and a dashboard."""

from typing import Any

import pulumi

from components.alert_rules import AlertRules, AlertRulesArgs
from components.alert_webhook import AlertWebhook, AlertWebhookArgs
from components.dashboard import Dashboard, DashboardArgs
from components.model_service import PORT_NAME
from serinus.rollout.alert_queries import Arms, gateway_label
from serinus.rollout.alert_receiver import Receiver
from serinus.rollout.alert_rules import Rule, asked, rule_groups
from stacks.settings import Settings


def declare_alerts(settings: Settings, opts: pulumi.ResourceOptions) -> None:
    """Declare the rules of the service's canary, and their way to the agent where there is one.

    Without a canary there is no rule, but the objects stay.
    """
    AlertRules(
        AlertRulesArgs(
            service=settings.service,
            namespace=settings.namespace,
            groups=alert_groups(settings),
            labels=settings.monitoringLabels,
        ),
        opts,
    )
    if settings.agent is not None:
        receiver = Receiver(settings.service, settings.namespace)
        AlertWebhook(AlertWebhookArgs(receiver, settings.monitoringLabels), opts)


def declare_dashboard(settings: Settings, opts: pulumi.ResourceOptions) -> None:
    """Declare the service's dashboard. A step changes nothing in it."""
    Dashboard(DashboardArgs(settings.service, settings.namespace, settings.monitoringLabels), opts)


def alert_groups(settings: Settings) -> list[dict[str, Any]]:
    """Return the groups of rules as the settings want them; none without a canary."""
    arms = _arms(settings)
    return rule_groups(settings.service, arms, settings.alerts) if arms else []


def asked_by(settings: Settings) -> dict[str, Rule]:
    """Return what each guard of the settings asks, by its name; nothing without a canary."""
    arms = _arms(settings)
    return asked(arms, settings.alerts) if arms else {}


def _arms(settings: Settings) -> Arms | None:
    if settings.canary is None:
        return None
    place = (settings.namespace, f"{settings.service}-stable", f"{settings.service}-{settings.stable.name}", PORT_NAME)
    return Arms(
        namespace=settings.namespace,
        release=settings.canary.id,
        pods=f"{settings.service}-{settings.canary.name}",
        gateway_canary=gateway_label(*place, canary=True),
        gateway_stable=gateway_label(*place),
        weight=settings.weight,
    )
