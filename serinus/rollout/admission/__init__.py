"""The rules of a step as admission policies, so that the API server refuses what `pulumi preview` would refuse.

Nothing is decided here. Each row of the rule table becomes one validation in CEL, and each fact that the rows name
becomes one expression over the Ingress and the CanaryRelease; a rule with a fact that has no expression can't be
rendered. Python and CEL answer one table of cases alike (tests/parity_cases.py).

What only an API server can see stands beside the table: that an Ingress is born, that another canary claims the host,
that the CanaryRelease is about to go, and what the agent's account changes.
"""

from serinus.rollout.admission.fence import fence
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.objects import definition, objects
from serinus.rollout.admission.policy import Named, Policy, Resource, Validation
from serinus.rollout.admission.roads import other_gateways, roads
from serinus.rollout.admission.steps import steps
from serinus.rollout.admission.swaps import swaps

__all__ = ["Guarded", "Named", "Policy", "Resource", "Validation", "policies"]


def policies(guarded: Guarded) -> tuple[Policy, ...]:
    """Return all policies of one service. Their names are unique in the cluster."""
    return (
        steps(guarded),
        swaps(guarded),
        roads(guarded),
        other_gateways(guarded),
        objects(guarded),
        definition(guarded),
        fence(guarded),
    )
