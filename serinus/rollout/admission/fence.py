"""What the agent's account may do to an Ingress, whatever its Role says."""

from serinus.rollout import agency, share
from serinus.rollout.admission.cel import text
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.ingress import shares
from serinus.rollout.admission.policy import Named, Policy, Resource, Validation, policy_name
from serinus.rollout.patterns import NOBODY


def fence(guarded: Guarded) -> Policy:
    """The agent's account may cut and give back, whatever its role would let it do to an Ingress."""
    cut = {share.WEIGHT: "0", share.PATTERN: NOBODY} | dict.fromkeys(share.OPEN_TO_ANYBODY, "")
    allowed = " || ".join(f"(k == {text(key)} && variables.new[k] == {text(value)})" for key, value in cut.items())
    # Who can't see the canary may take it a step back, too.
    lowers = "variables.newCountable && variables.newShare < variables.oldShare"
    allowed += f" || (k in [{text(share.WEIGHT)}, {text(share.PATTERN)}] && {lowers})"
    same = " && ".join(
        f"object.metadata.?{key} == oldObject.metadata.?{key}" for key in ("labels", "ownerReferences", "finalizers")
    )
    return Policy(
        policy_name(guarded, "agent"),
        Resource("networking.k8s.io", "v1", "ingresses", ("CREATE", "UPDATE", "DELETE")),
        (
            Named("agent", f"request.userInfo.username == {text(agency.USER)}"),
            Named("here", f"request.namespace == {text(guarded.namespace)}"),
        ),
        tuple(shares(guarded)),
        (
            Validation(
                f"request.operation == 'UPDATE' && object.spec == oldObject.spec && {same} "
                f"&& variables.new.all(k, variables.old[?k] == optional.of(variables.new[k]) || {allowed}) "
                f"&& variables.old.all(k, k in variables.new || k == {text(share.WEIGHT)})",
                text(
                    f"the agent may cut the canary's share to 0, lower it, and give the annotations back, nothing else "
                    f"(agent-fence). Weight 0 and the pattern {NOBODY} are a cut."
                ),
                "agent-fence",
            ),
        ),
    )
