"""The swap: what may be put behind the stable Ingress."""

from collections.abc import Iterator

from serinus.rollout import rules as table
from serinus.rollout import share
from serinus.rollout.admission.cel import sentence, text
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.ingress import annotations_of_both, is_called
from serinus.rollout.admission.policy import Named, Policy, Resource, Validation, but_for, policy_name
from serinus.rollout.admission.table import EXPRESSIONS, facts_of_the_status, status_there, validation
from serinus.rollout.rules import SWAP_RULES, SWAP_STATUS_RULES, Rule
from serinus.rollout.succession import PREVIOUS_NOTE


def swaps(guarded: Guarded) -> Policy:
    """Nobody moves all users at once, but to the canary that they are on already, or back."""
    facts = {
        **EXPRESSIONS,
        table.OLD: str(share.EVERYTHING),
        table.BAKE_SECONDS: "double(variables.topBakeSeconds)",
    }

    def of_a_swap(rule: Rule, *, needs_status: bool) -> Validation:
        return validation(rule, "moves", facts, needs_status=needs_status)

    untested, *others = SWAP_RULES
    forged = Validation(
        "variables.previous in ['', variables.wasPrevious] "
        "|| (variables.moves && variables.previous in variables.wasBehind)",
        sentence(
            "{previous} is not the release that this change replaces (previous-never-stable). "
            "Set serinus:previous in the swap itself, to the release that was stable; or to nothing.",
            {"previous": "variables.previous"},
        ),
        "previous-never-stable",
    )
    return Policy(
        policy_name(guarded, "swaps"),
        Resource("networking.k8s.io", "v1", "ingresses", ("CREATE", "UPDATE")),
        (
            *but_for(guarded.break_glass),
            Named("stable-ingress", is_called(guarded.stable_ingress, guarded.namespace)),
        ),
        (*annotations_of_both(), *facts_of_the_status(), *_facts()),
        (
            of_a_swap(untested, needs_status=False),
            status_there("moves"),
            *(of_a_swap(rule, needs_status=True) for rule in (*others, *SWAP_STATUS_RULES)),
            forged,
        ),
        with_release=True,
    )


def _facts() -> Iterator[Named]:
    """`succession.newcomers` in CEL: to whom the users would be moved."""

    def behind(thing: str) -> str:
        # A list of lists becomes one list by way of a text: no name of a Service has a comma.
        paths = "r.?http.?paths.orValue([]).map(p, p.?backend.?service.?name.orValue('?')).join(',')"
        named = f"{thing}.spec.?defaultBackend.?service.?name.orValue('?')"
        default = f"({thing}.spec.?defaultBackend.hasValue() ? [{named}] : [])"
        return f"({thing}.spec.?rules.orValue([]).map(r, {paths}) + {default}).join(',').split(',').filter(b, b != '')"

    note = f"[?{text(PREVIOUS_NOTE)}].orValue('')"
    yield Named("behind", behind("object"))
    # An Ingress that is born anew, after somebody has deleted it, may only be what it was.
    stable = "params.spec.service + '-' + params.spec.stable.substring(0, size(params.spec.stable) - 9)"
    born = f"size(params.spec.stable) > 9 ? [{stable}] : []"
    yield Named("wasBehind", f"oldObject == null ? ({born}) : {behind('oldObject')}")
    yield Named("previous", f"variables.new{note}")
    yield Named("wasPrevious", f"variables.old{note}")
    yield Named("newcomers", "variables.behind.filter(b, !(b in variables.wasBehind) && b != variables.wasPrevious)")
    yield Named("moves", "size(variables.newcomers) > 0")
    yield Named("strangers", "variables.newcomers.filter(b, b != variables.canaryBackend)")
    yield Named("newcomer", "size(variables.strangers) > 0 ? variables.strangers[0] : variables.canaryBackend")
    yield Named("top", "params.spec.ladder[size(params.spec.ladder) - 1]")
    yield Named("topBakeSeconds", "variables.top.?bakeSeconds.orValue(0)")
