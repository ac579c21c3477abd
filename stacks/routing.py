"""How the users of a stack are split: what its settings say, as arguments of the split and of the edge before it."""

from collections.abc import Sequence

import pulumi

from components.model_service import ModelService
from components.user_edge import UserEdge, UserEdgeArgs
from serinus.bucketer.config import Config
from serinus.bucketer.keeping import Keep
from serinus.rollout.buckets import ALONE, keyed, label
from serinus.rollout.routing import Match, inner_host, match
from serinus.rollout.share import PREFIX
from stacks.settings import Settings


def declare_edge(settings: Settings, stable: ModelService, opts: pulumi.ResourceOptions) -> Sequence[pulumi.Resource]:
    """Declare what users pass before the split, where buckets split them; nothing otherwise."""
    split = settings.split
    if split.by != "bucket":
        return []
    args = UserEdgeArgs(
        service=settings.service,
        namespace=settings.namespace,
        host=settings.host,
        inner_host=inner_host(settings.service, settings.namespace),
        ingress_class=settings.ingressClass,
        gateway=split.gateway,
        sources=split.gateway_sources,
        image=split.image,
        replicas=split.replicas,
        config=bucketer_config(settings),
        stable=stable,
    )
    return [UserEdge(args, opts)]


def split_host(settings: Settings) -> str:
    """Return the host at which the split is: the users' own, or the inner one behind the edge."""
    return inner_host(settings.service, settings.namespace) if settings.split.by == "bucket" else settings.host


def split_annotations(settings: Settings) -> dict[str, str]:
    """Return what both Ingresses of the split say beside it."""
    if settings.split.by != "bucket":
        return {}
    return {
        # Who could reach the inner host could choose a bucket.
        f"{PREFIX}/whitelist-source-range": ",".join(settings.split.gateway_sources),
        # The service sees the host that its users called.
        f"{PREFIX}/upstream-vhost": settings.host,
    }


def split_match(settings: Settings) -> Match:
    """Return what takes a request to the canary at the stack's weight."""
    return match(settings.split, settings.weight, testers=bool(settings.testers))


def bucketer_config(settings: Settings) -> Config:
    """Return what the bucketer is told. Raises ValueError where the settings have no salt."""
    if settings.salt is None:
        raise ValueError("the bucketer needs serinus:salt")
    split, salt = settings.split, settings.salt.get_secret_value()
    if split.salt_per == "release":
        salt = f"{salt}/{(settings.canary or settings.stable).id}"
    return Config(
        salt=salt,
        header=split.header,
        cookie=split.cookie,
        claim=split.claim,
        conversation=split.conversation,
        tag_header=split.only.header if split.only else "",
        tester_word=split.tester_word,
        testers=tuple(keyed(one.get_secret_value(), salt).hex() for one in settings.testers),
        keep=_keep(settings) if split.conversations == "keep" else None,
    )


def _keep(settings: Settings) -> Keep:
    """Return what is kept: a bucket that every share but none has, with a tag that counts where tags do."""
    only = settings.split.only
    return Keep(
        stable=settings.stable.id,
        canary=settings.canary.id if settings.canary else "",
        label=label(ALONE.start, only.values[0] if only else ""),
        seconds=60 * settings.split.keep_minutes,
    )
