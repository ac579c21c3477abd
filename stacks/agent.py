"""The service's way to the cluster's agent, which judges the canary while nobody looks."""

import pulumi

from components.agent_binding import AgentBinding, AgentBindingArgs
from components.canary_release import CanaryRelease
from stacks.settings import Agent, Settings


def bind_agent(
    settings: Settings, agent: Agent, token: str, opts: pulumi.ResourceOptions, release: CanaryRelease
) -> AgentBinding:
    """Bind the agent. It comes after the object that it watches, and goes before it."""
    return AgentBinding(
        AgentBindingArgs(
            service=settings.service,
            namespace=settings.namespace,
            token=pulumi.Output.secret(token),
            prometheus=agent.prometheus or "",
            blind_hold_seconds=agent.blindHoldSeconds,
            blind_decay_seconds=agent.blindDecaySeconds,
            notices_secret=agent.noticesSecret,
        ),
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[release])),
    )
