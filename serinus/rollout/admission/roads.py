"""The roads around the rule table, each of them shut."""

from serinus.rollout.admission.cel import sentence, text
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.ingress import is_canary_ingress, is_on, is_on_the_host, shares
from serinus.rollout.admission.policy import Named, Policy, Resource, Validation, but_for, policy_name


def roads(guarded: Guarded) -> Policy:
    """No road around the table: no Ingress born with a share, and no second canary for the host."""
    values = {"share": "variables.newShare", "host": text(guarded.host), "owner": text(guarded.canary_ingress)}
    born = Validation(
        "oldObject != null || variables.newShare == 0",
        sentence(
            "an Ingress can't be created with {share} % for a canary (born-above-zero). "
            "Create it with weight 0, then raise it.",
            values,
        ),
        "born-above-zero",
    )
    second = Validation(
        f"{is_canary_ingress(guarded)} || !variables.on || (variables.wasOn && !variables.rises)",
        sentence(
            f"the host {{host}} has its canary already, the Ingress {guarded.namespace}/{{owner}} (second-canary). "
            "Use another host.",
            values,
        ),
        "second-canary",
    )
    return Policy(
        policy_name(guarded, "ingresses"),
        Resource("networking.k8s.io", "v1", "ingresses", ("CREATE", "UPDATE")),
        (
            *but_for(guarded.break_glass),
            Named("on-the-host", f"{is_canary_ingress(guarded)} || {is_on_the_host(guarded, 'object')}"),
        ),
        (
            *shares(guarded),
            Named("on", is_on("variables.new")),
            Named("wasOn", f"oldObject != null && {is_on('variables.old')}"),
        ),
        (born, second),
    )


def other_gateways(guarded: Guarded) -> Policy:
    """No HTTPRoute comes to the host: a gateway that reads it would split the users by what no rule here counts.

    One that was there before the guard may still be changed, since a change may be a decrease.
    """
    refused = Validation(
        f"oldObject != null && {_is_routed_at(guarded, 'oldObject')}",
        sentence(
            f"the host {{host}} is split by the Ingress {guarded.namespace}/{{owner}}, and nobody would judge an "
            "HTTPRoute's share (other-gateway). Use another host, or set serinus:guard to false.",
            {"host": text(guarded.host), "owner": text(guarded.canary_ingress)},
        ),
        "other-gateway",
    )
    return Policy(
        policy_name(guarded, "httproutes"),
        Resource("gateway.networking.k8s.io", "v1", "httproutes", ("CREATE", "UPDATE")),
        (*but_for(guarded.break_glass), Named("on-the-host", _is_routed_at(guarded, "object"))),
        (),
        (refused,),
    )


def _is_routed_at(guarded: Guarded, route: str) -> str:
    hosts = f"[{', '.join(text(host) for host in dict.fromkeys((guarded.host, guarded.inner_host or guarded.host)))}]"
    wildcard = f"(h.startsWith('*.') && {hosts}.exists(o, o.endsWith(h.substring(1))))"
    return f"{route}.spec.?hostnames.orValue([]).exists(h, h in {hosts} || {wildcard})"
