"""The CanaryRelease of one service: the rollout as its stack declares it, for the agent, the guard and people to read.

Its definition is not declared here: it belongs to the whole cluster, and `serinus install-crd` brings it. Of two stacks
that own one definition each would undo the other's, and the first to be destroyed would take both services' objects.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.canary_release import API_VERSION, KIND, Spec


@dataclass(frozen=True)
class CanaryReleaseArgs:
    """The rollout, and the namespace that holds it; the namespace's end is the object's end."""

    spec: Spec
    namespace: k8s.core.v1.Namespace
    namespace_name: str


class CanaryRelease(pulumi.ComponentResource):
    """The object's spec. Its status is the agent's.

    It must come after the guard and the Ingresses (`depends_on`). The guard compares a rise with what was declared and
    observed before it, and a spec that ran ahead would look like one that nobody has observed yet. And where the guard
    refuses to lose this object, the guard itself must still be there.
    """

    def __init__(self, args: CanaryReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        spec = args.spec
        inputs = {"service": spec.service, "host": spec.host}
        super().__init__("serinus:components:CanaryRelease", f"{spec.service}-rollout", inputs, opts)
        k8s.apiextensions.CustomResource(
            spec.service,
            api_version=API_VERSION,
            kind=KIND,
            metadata={
                "name": spec.service,
                "namespace": args.namespace_name,
                "labels": {
                    "app.kubernetes.io/name": spec.service,
                    "app.kubernetes.io/component": "canary-release",
                    "app.kubernetes.io/part-of": "serinus",
                    "app.kubernetes.io/managed-by": "pulumi",
                    "serinus.dev/service": spec.service,
                },
            },
            spec=spec.document(),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=opts.depends_on if opts else None,
                # The guard refuses to lose a live object. With the namespace goes the traffic, and then it may go.
                deleted_with=args.namespace,
            ),
        )
        self.register_outputs({})
