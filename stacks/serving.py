"""The service on its cluster: the namespace, every release that runs, and the split of the traffic between two."""

import pulumi
import pulumi_kubernetes as k8s

from components.canary_release import CanaryRelease, CanaryReleaseArgs
from components.model_service import HASH_KEY, ModelService, ModelServiceArgs, NodeDirectory
from components.traffic_split import TrafficSplit, TrafficSplitArgs
from components.weight_guard import WeightGuard
from serinus.rollout.admission import Guarded
from serinus.rollout.canary_release import Spec
from stacks.agent import bind_agent
from stacks.capacity import declare_pods, pods_of
from stacks.monitoring import declare_alerts, declare_dashboard
from stacks.routing import declare_edge, split_annotations, split_host, split_match
from stacks.settings import Settings


def declare(settings: Settings) -> None:
    """Declare all resources of the stack."""
    # Named, never the default: a stack must not follow the current context of whoever runs it.
    cluster = k8s.Provider("cluster", kubeconfig=settings.kubeconfig, context=settings.context)
    namespace = k8s.core.v1.Namespace(
        settings.namespace,
        metadata={"name": settings.namespace, "labels": {"app.kubernetes.io/managed-by": "pulumi"}},
        opts=pulumi.ResourceOptions(provider=cluster),
    )
    inside = pulumi.ResourceOptions(providers=[cluster], depends_on=[namespace])
    directories = tuple(NodeDirectory(mount.hostPath, mount.mountPath) for mount in settings.nodeMounts)
    hash_key = _hash_key(settings, inside)
    pods = pods_of(settings)
    running = {
        release.name: ModelService(
            ModelServiceArgs(
                settings.service,
                release,
                settings.namespace,
                settings.gpu,
                directories,
                hash_key=f"{settings.service}-hash-key" if hash_key else "",
                born_pods=pods.get(release.name),
            ),
            pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=hash_key)),
        )
        for release in settings.releases
    }
    declare_pods(settings, pods, running, inside)
    split_at = split_host(settings)
    guarded = Guarded(settings.service, settings.namespace, settings.host, settings.breakGlass, inner_host=split_at)
    guard = [WeightGuard(guarded, pulumi.ResourceOptions(providers=[cluster]))] if settings.guard else []
    # Where the way to split changes under users, the edge must be there before the split moves behind it.
    edge = declare_edge(settings, running[settings.stable.name], inside)
    split = TrafficSplit(
        TrafficSplitArgs(
            service=settings.service,
            namespace=settings.namespace,
            host=split_at,
            ingress_class=settings.ingressClass,
            stable=running[settings.stable.name],
            previous=running[settings.previous.name] if settings.previous else None,
            canary=running[settings.canary.name] if settings.canary else None,
            match=split_match(settings),
            ladder=tuple(rung.weight for rung in settings.ladder),
            annotations=split_annotations(settings),
        ),
        pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[*guard, *edge])),
    )
    if settings.guard:
        release = CanaryRelease(
            CanaryReleaseArgs(_spec(settings), namespace, settings.namespace),
            pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[*guard, split])),
        )
        if settings.agent is not None and settings.agentToken is not None:
            bind_agent(settings, settings.agent, settings.agentToken.get_secret_value(), inside, release)
    if settings.monitoring:
        declare_alerts(settings, inside)
    if settings.dashboard:
        declare_dashboard(settings, inside)


def _hash_key(settings: Settings, opts: pulumi.ResourceOptions) -> list[k8s.core.v1.Secret]:
    """The Secret that all pods of the service share, where the settings have a key."""
    if settings.hashKey is None:
        return []
    name = f"{settings.service}-hash-key"
    data = {HASH_KEY: pulumi.Output.secret(settings.hashKey.get_secret_value())}
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": name, "namespace": settings.namespace}
    return [k8s.core.v1.Secret(name, metadata=metadata, string_data=data, opts=opts)]


def _spec(settings: Settings) -> Spec:
    return Spec(
        service=settings.service,
        host=settings.host,
        stable=settings.stable.id,
        canary=settings.canary.id if settings.canary else "",
        weight=settings.weight,
        ladder=settings.ladder,
        objectives=settings.objectives,
        override=settings.override,
        expected=settings.expected,
        budget=settings.budget,
    )
