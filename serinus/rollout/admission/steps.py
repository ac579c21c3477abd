"""The steps: every row of the rule table, before the canary's Ingress."""

from collections.abc import Iterator

from serinus.rollout import share
from serinus.rollout.admission.cel import sentence
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.ingress import is_canary_ingress, shares
from serinus.rollout.admission.policy import Named, Policy, Resource, Validation, but_for, policy_name
from serinus.rollout.admission.table import facts_of_the_status, status_there, validation
from serinus.rollout.rules import CAP_RULES, LADDER_RULES, STATUS_RULES


def steps(guarded: Guarded) -> Policy:
    """The rule table: nobody raises the canary's share further or sooner than the table says."""
    declared = Validation(
        "!variables.rises || (variables.canaryBackend != '' "
        "&& variables.backends.all(p, p.all(b, b == variables.canaryBackend)))",
        sentence(
            "the Ingress routes to {backends}, but the declared canary is {canary} (other-backend). "
            "Declare the canary with weight 0 first, then raise it.",
            {"backends": "variables.backends", "canary": "params.spec.canary"},
        ),
        "other-backend",
    )
    return Policy(
        policy_name(guarded, "steps"),
        # A new Ingress is none of the rules' business: it has no share at all.
        Resource("networking.k8s.io", "v1", "ingresses", ("UPDATE",)),
        (*but_for(guarded.break_glass), Named("canary-ingress", is_canary_ingress(guarded))),
        (*shares(guarded), *_facts()),
        (
            *(validation(rule, needs_status=False) for rule in LADDER_RULES),
            declared,
            status_there("rises"),
            *(validation(rule, needs_status=True) for rule in (*STATUS_RULES, *CAP_RULES)),
        ),
        with_release=True,
    )


def _facts() -> Iterator[Named]:
    yield Named("rungs", "params.spec.ladder.map(r, r.weight)")
    yield Named("above", "variables.rungs.filter(w, w > variables.oldShare)")
    yield Named("nextRung", f"size(variables.above) > 0 ? variables.above[0] : {share.EVERYTHING}")
    yield Named("reached", "params.spec.ladder.filter(r, r.weight <= variables.oldShare)")
    yield Named(
        "bakeSeconds",
        "size(variables.reached) > 0 ? variables.reached[size(variables.reached) - 1].?bakeSeconds.orValue(0) : 0",
    )
    yield Named(
        "approved",
        "params.spec.ladder.all(r, !r.?approval.orValue(false) || r.weight <= variables.oldShare "
        "|| r.weight > variables.newShare || params.?status.?approvals.orValue([]).exists(a, a.weight == r.weight))",
    )
    yield from facts_of_the_status()
