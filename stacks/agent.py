"""The agent beside the service: what judges the canary while nobody looks."""

import pulumi

from components.canary_release import CanaryRelease
from components.release_agent import ReleaseAgent, ReleaseAgentArgs
from stacks.settings import Agent, Settings


def declare_agent(
    settings: Settings, agent: Agent, token: str, opts: pulumi.ResourceOptions, release: CanaryRelease
) -> ReleaseAgent:
    """Declare the agent. It comes after the object that it watches, and goes before it."""
    return ReleaseAgent(
        ReleaseAgentArgs(
            service=settings.service,
            namespace=settings.namespace,
            image=agent.image,
            replicas=agent.replicas,
            gateway_metrics=agent.gatewayMetrics,
            token=pulumi.Output.secret(token),
            prometheus=agent.prometheus or "",
            blind_hold_seconds=agent.blindHoldSeconds,
            notices_secret=agent.noticesSecret,
        ),
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[release])),
    )
