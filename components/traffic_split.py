"""Which release users get: two Ingresses for one host, one for the stable release and one for the canary's share.

Both are named after roles and stay for the life of the service. A step changes one annotation. A swap changes two
backends, the stable one first: so there is no moment at which users fall back to the old release.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pulumi
import pulumi_kubernetes as k8s

from components.model_service import PORT_NAME, ModelService
from serinus.rollout.canary_release import LADDER_NOTE
from serinus.rollout.routing import Match
from serinus.rollout.succession import PREVIOUS_NOTE


@dataclass(frozen=True)
class TrafficSplitArgs:
    """Where users come in and how they are split.

    match is what takes a request to the canary; without a canary nothing does. ladder are the weights that the share
    may rise to, for the policy pack: a rule sees one object and no settings, so they stand on the Ingress. annotations
    are those that both Ingresses have. previous is the release that was stable before, to which the way back is open.
    """

    service: str
    namespace: str
    host: str
    ingress_class: str
    stable: ModelService
    canary: ModelService | None
    match: Match
    ladder: tuple[int, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    previous: ModelService | None = None


@dataclass(frozen=True)
class _Route:
    name: str
    backend: str
    annotations: dict[str, str]


class TrafficSplit(pulumi.ComponentResource):
    """The stable Ingress and the canary Ingress that is derived from it."""

    def __init__(self, args: TrafficSplitArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # Without a canary its Ingress is parked on the stable release. It is never deleted: its history in the API
        # server, who set which field, is what makes a cut hold.
        behind = args.canary or args.stable
        # The weight is not among the inputs: the engine would note it down before the Ingress has it, and keep it even
        # if the Ingress is refused. So one place of the state says what the weight was: the Ingress.
        inputs = {
            "service": args.service,
            "host": args.host,
            "stable": args.stable.service_name,
            "canary": behind.service_name,
        }
        super().__init__("serinus:components:TrafficSplit", args.service, inputs, opts)
        self._args = args
        self._before = opts.depends_on if opts else None
        stable = _Route(
            name=f"{args.service}-stable",
            backend=args.stable.service_name,
            # Gateways that publish no address would make the engine wait for one until it gives up.
            annotations={"pulumi.com/skipAwait": "true", **args.annotations},
        )
        canary = replace(
            stable,
            name=f"{args.service}-canary",
            backend=behind.service_name,
            annotations=stable.annotations | args.match.annotations() | {LADDER_NOTE: json.dumps(args.ladder)},
        )
        stable = replace(stable, annotations=stable.annotations | _memory(args))
        stable_ingress = self._ingress(stable, after=[args.stable])
        # In a swap the stable Ingress must have moved before the canary's share ends.
        self._ingress(canary, after=[behind, stable_ingress])
        self.register_outputs({})

    def _ingress(self, route: _Route, after: list[pulumi.Resource]) -> k8s.networking.v1.Ingress:
        service = self._args.service
        return k8s.networking.v1.Ingress(
            route.name,
            metadata={
                "name": route.name,
                "namespace": self._args.namespace,
                "labels": {
                    "app.kubernetes.io/name": service,
                    "app.kubernetes.io/instance": route.name,
                    "app.kubernetes.io/component": "traffic-split",
                    "app.kubernetes.io/part-of": "serinus",
                    "app.kubernetes.io/managed-by": "pulumi",
                    "serinus.dev/service": service,
                },
                "annotations": route.annotations,
            },
            spec={
                "ingress_class_name": self._args.ingress_class,
                "rules": [
                    {
                        "host": self._args.host,
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "path_type": "Prefix",
                                    "backend": {"service": {"name": route.backend, "port": {"name": PORT_NAME}}},
                                }
                            ]
                        },
                    }
                ],
            },
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(parent=self, depends_on=self._before), pulumi.ResourceOptions(depends_on=after)
            ),
        )


def _memory(args: TrafficSplitArgs) -> dict[str, str]:
    """The way back, noted on the Ingress that takes it. To where the users are already there is none."""
    behind = args.previous.service_name if args.previous else args.stable.service_name
    return {} if behind == args.stable.service_name else {PREVIOUS_NOTE: behind}
