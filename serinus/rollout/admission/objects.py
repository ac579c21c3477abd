"""What the guard itself rests on: the CanaryRelease, and the definition of its kind."""

from serinus.rollout.admission.cel import sentence, text
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.policy import Named, Policy, Resource, Validation, but_for, policy_name
from serinus.rollout.canary_release import CRD_NAME, GROUP, PLURAL, VERSION


def objects(guarded: Guarded) -> Policy:
    """The CanaryRelease stays while it is needed, and is the only one of its host."""

    def is_ours(thing: str) -> str:
        metadata = f"{thing}.metadata"
        return f"({metadata}.name == {text(guarded.service)} && {metadata}.namespace == {text(guarded.namespace)})"

    on_our_host = f"object.spec.host == {text(guarded.host)}"
    status = "oldObject.?status"
    values = {
        "weight": "oldObject.spec.weight",
        "seen": f"{status}.?weight.orValue(0)",
        "reason": f"{status}.?hold.?reason.orValue('')",
        "host": text(guarded.host),
        "owner": text(f"{guarded.namespace}/{guarded.service}"),
    }
    return Policy(
        policy_name(guarded, "objects"),
        Resource(GROUP, VERSION, PLURAL, ("CREATE", "UPDATE", "DELETE")),
        (
            *but_for(guarded.break_glass),
            Named(
                "ours-or-of-our-host",
                f"request.operation == 'DELETE' ? {is_ours('oldObject')} : {on_our_host}",
            ),
        ),
        (
            # Who deletes the namespace deletes the Ingress too, so there is nothing left to guard.
            Named(
                "deleted",
                "request.operation == 'DELETE' && !namespaceObject.?metadata.?deletionTimestamp.hasValue()",
            ),
        ),
        (
            Validation(
                f"!(variables.deleted && {status}.?hold.hasValue())",
                sentence(
                    "the release is held: {reason} (held). Look at the evidence, then run `serinus resume`.", values
                ),
                "held",
            ),
            Validation(
                f"!(variables.deleted && (oldObject.spec.weight > 0 || {status}.?weight.orValue(0) > 0))",
                sentence(
                    "the canary is live: declared {weight} %, seen {seen} % (live). Bring the weight to 0 first.",
                    values,
                ),
                "live",
            ),
            Validation(
                # Without its object a guard lets every rise pass. So the right to delete the one is the right to
                # delete the other.
                "!variables.deleted || authorizer.group('admissionregistration.k8s.io')"
                ".resource('validatingadmissionpolicies').check('delete').allowed()",
                text(
                    "the guard needs its object (guarded). "
                    "Set serinus:guard to false and run `pulumi up`: that removes both."
                ),
                "guarded",
            ),
            Validation(
                f"request.operation == 'DELETE' || {is_ours('object')}",
                sentence(
                    "the host {host} is guarded by the CanaryRelease {owner} already (second-canary). "
                    "Use another host.",
                    values,
                ),
                "second-canary",
            ),
        ),
    )


def definition(guarded: Guarded) -> Policy:
    """The definition goes last: with it every CanaryRelease of the cluster would go, past all other policies."""
    return Policy(
        policy_name(guarded, "definition"),
        Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", ("DELETE",)),
        (Named("ours", f"oldObject.metadata.name == {text(CRD_NAME)}"),),
        (),
        (
            Validation(
                "false",
                text(
                    f"{guarded.namespace}/{guarded.service} is guarded by an object of this kind (in-use). "
                    "Destroy the guarded stacks first, or set serinus:guard to false in them."
                ),
                "in-use",
            ),
        ),
    )
