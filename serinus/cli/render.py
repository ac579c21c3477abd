"""`serinus render`: what a gateway must be told for the stack's split, for whoever tells it by other means."""

from enum import StrEnum
from typing import Annotated

import typer
import yaml

from local.errors import LocalError
from serinus.cli.declared import Stack, read_stack
from serinus.rollout.buckets import ALONE, lanes
from serinus.rollout.renderers import Arm, Traffic, UnexpressibleError, http_route, nginx
from serinus.rollout.routing import match
from serinus.rollout.succession import backend_of


class Kind(StrEnum):
    """A kind of gateway."""

    NGINX = "nginx"
    HTTPROUTE = "httproute"


def command(
    stack: Annotated[str, typer.Option(help="The stack; its settings are in Pulumi.<stack>.yaml.")] = "dev",
    kind: Annotated[
        Kind, typer.Option("--as", help="Annotations of ingress-nginx, or an HTTPRoute of the Gateway API.")
    ] = Kind.NGINX,
    gateway: Annotated[str, typer.Option(help="The Gateway of an HTTPRoute: NAME or NAMESPACE/NAME.")] = "",
    weight: Annotated[int, typer.Option(min=-1, max=100, help="The share in percent; -1 is the stack's own.")] = -1,
    canaries: Annotated[
        list[str] | None,
        typer.Option(
            "--canary",
            help="RELEASE=SHARE/MOST, more than once: several canaries at once in place of the stack's own, each with "
            "lowest buckets of a lane of MOST percent that no other gets.",
        ),
    ] = None,
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="A proxy before the gateway asks the bucketer and overwrites its header."),
    ] = False,
) -> None:
    """Print what a gateway must be told. Nothing is applied, no cluster is asked, and no guard reads an HTTPRoute."""
    found = read_stack(stack)
    try:
        arms = _several(found, canaries) if canaries else _one(found, found.weight if weight < 0 else weight)
        traffic = Traffic(found.service, found.namespace, found.host, backend_of(found.service, found.stable), arms)
        if kind is Kind.NGINX:
            print(yaml.safe_dump(nginx(traffic), sort_keys=False), end="")
            return
        if not gateway:
            raise LocalError("an HTTPRoute hangs on a Gateway", remedy="name it with --gateway")
        print(yaml.safe_dump(http_route(traffic, gateway, behind_proxy=behind_proxy), sort_keys=False), end="")
    except (UnexpressibleError, ValueError) as error:
        raise LocalError(f"this can't be rendered: {error}", remedy="serinus render --help") from None


def _one(found: Stack, weight: int) -> tuple[Arm, ...]:
    if not found.canary:
        return ()
    declared = found.declared
    return (Arm(backend_of(found.service, found.canary), match(declared.split, weight, bool(declared.testers))),)


def _several(found: Stack, canaries: list[str]) -> tuple[Arm, ...]:
    wanted = dict(_read(one) for one in canaries)
    if len(wanted) != len(canaries):
        raise ValueError("a release is named twice")
    if len(wanted) > 1 and (found.declared.testers or found.declared.split.tester_word):
        raise ValueError("a tester would match every canary; take the testers out of the split")
    own = lanes({name: most for name, (_, most) in wanted.items()}) if len(wanted) > 1 else dict.fromkeys(wanted, ALONE)
    split = found.declared.split
    return tuple(
        Arm(f"{found.service}-{name}", match(split, share, lane=own[name])) for name, (share, _) in wanted.items()
    )


def _read(one: str) -> tuple[str, tuple[int, int]]:
    name, _, rest = one.partition("=")
    share, _, most = rest.partition("/")
    if not (name and share.isascii() and share.isdigit() and most.isascii() and most.isdigit()):
        raise ValueError(f"--canary {one!r} is not RELEASE=SHARE/MOST, such as v3=5/50")
    return name, (int(share), int(most))
