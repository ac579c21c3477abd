"""What a service's stack declares so that the cluster's agent serves it: its terms, its books, and what it may do here.

The agent serves a service once it can read its terms. So the RoleBinding comes last, and goes first.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout import agency
from serinus.rollout.agency_objects import binding_rules, books, labels


@dataclass(frozen=True)
class AgentBindingArgs:
    """A service's terms. The token proves who alerts the agent about it; all else is plain.

    prometheus: empty for the cluster's own. notices_secret: empty for none. blind_hold_seconds and
    blind_decay_seconds: 0 for never.
    """

    service: str
    namespace: str
    token: pulumi.Output[str]
    prometheus: str = ""
    blind_hold_seconds: int = 120
    blind_decay_seconds: int = 0
    notices_secret: str = ""


class AgentBinding(pulumi.ComponentResource):
    """The way of one service to the agent. What the agent writes into is declared here: it may create none of it."""

    def __init__(self, args: AgentBindingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        name = agency.binding_name(args.service)
        super().__init__("serinus:components:AgentBinding", name, {"service": args.service}, opts)
        self._args = args
        child = pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        # Their content is the agent's: the stack says only that they are there.
        theirs = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=["data"]))
        written = [
            k8s.core.v1.ConfigMap(book, metadata=self._metadata(book), opts=theirs) for book in books(args.service)
        ]
        terms = k8s.core.v1.Secret(
            name,
            metadata=self._metadata(name),
            string_data={
                agency.TOKEN: args.token,
                agency.PROMETHEUS: args.prometheus,
                agency.BLIND_HOLD_SECONDS: str(args.blind_hold_seconds),
                agency.BLIND_DECAY_SECONDS: str(args.blind_decay_seconds),
                agency.NOTICES_SECRET: args.notices_secret,
            },
            opts=child,
        )
        role = k8s.rbac.v1.Role(
            name,
            metadata=self._metadata(name),
            rules=binding_rules(args.service, args.notices_secret),
            opts=child,
        )
        k8s.rbac.v1.RoleBinding(
            name,
            metadata=self._metadata(name),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[k8s.rbac.v1.SubjectArgs(**agency.SUBJECT)],
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*written, terms, role])),
        )
        self.register_outputs({"name": name})

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {"name": name, "namespace": self._args.namespace, "labels": labels(self._args.service, "pulumi")}
