"""The pods of each release, where the stack says how many carry all of the traffic."""

from collections.abc import Mapping

import pulumi

from components.model_service import ModelService
from components.pod_count import PodCount, PodCountArgs
from serinus.rollout.capacity import canary_pods
from serinus.rollout.ladder import Ladder
from stacks.settings import Settings


def pods_of(settings: Settings) -> dict[str, int]:
    """Return the pods of each release that runs, by its name; nothing where each release's file says it."""
    capacity = settings.capacity
    if capacity is None:
        return {}
    # What is retained has no traffic and no way back to it in one update.
    pods = {release.name: 1 for release in settings.releases}
    if settings.canary is not None:
        pods[settings.canary.name] = canary_pods(capacity, Ladder(rungs=settings.ladder), settings.weight)
    for whole in (settings.previous, settings.stable):
        if whole is not None:
            pods[whole.name] = capacity.pods
    return pods


def declare_pods(
    settings: Settings, pods: Mapping[str, int], running: Mapping[str, ModelService], opts: pulumi.ResourceOptions
) -> None:
    """Declare who counts the pods of each release. Nothing may depend on them: see components/pod_count.py."""
    for name, least in pods.items():
        args = PodCountArgs(
            settings.service,
            name,
            settings.namespace,
            least,
            settings.capacity.autoscale if settings.capacity else None,
        )
        PodCount(args, pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[running[name]])))
