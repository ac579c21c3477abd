"""Writes one description of a split for two kinds of gateway: annotations of ingress-nginx, or an HTTPRoute.

What a kind can't say is refused with the reason, never left out: a route that says less gives users to the wrong
release. The description is the canaries with what takes a request to each (`serinus.rollout.routing.match`).

An HTTPRoute is for whoever has such a gateway and applies it; a stack declares none. The lists of an HTTPRoute have one
owner each, as its definition says, so a cut of the canary would own the stable release's backend too: then neither a
swap nor a change of the canary could be declared until somebody resumes. And no guard reads it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from serinus.rollout.patterns import NOBODY, endings
from serinus.rollout.routing import Match
from serinus.rollout.share import BUCKET_HEADER, EVERYTHING, TESTER_HEADER

PORT = 80
"""The port of every release's Service. An HTTPRoute knows no names of ports."""


class UnexpressibleError(ValueError):
    """A split that this kind of gateway can't be told. The message says why and what to do."""


class Arm(NamedTuple):
    """One canary: its Service, and what takes a request to it."""

    backend: str
    match: Match


class Traffic(NamedTuple):
    """One service's users: the host, the Service of the stable release, and the canaries beside it."""

    service: str
    namespace: str
    host: str
    stable: str
    canaries: tuple[Arm, ...]


def nginx(traffic: Traffic) -> dict[str, str]:
    """Return the annotations of the canary's Ingress; none without a canary. Raises UnexpressibleError."""
    if len(traffic.canaries) > 1:
        raise UnexpressibleError(
            f"annotations of ingress-nginx give a host one canary, and these are {len(traffic.canaries)}: of two "
            "Ingresses for one host and path the gateway takes one. Render an HTTPRoute, or try one after the other"
        )
    return traffic.canaries[0].match.annotations() if traffic.canaries else {}


def http_route(traffic: Traffic, gateway: str, *, behind_proxy: bool = False) -> dict[str, Any]:
    """Return an HTTPRoute that hangs on a Gateway, named by `name` or `namespace/name`.

    `behind_proxy`: whether a proxy before the gateway asks the bucketer and overwrites its header. Raises
    UnexpressibleError.
    """
    _check(traffic.canaries, behind_proxy=behind_proxy)
    namespace, _, name = gateway.rpartition("/")
    by_weight = [arm for arm in traffic.canaries if arm.match.weight]
    left = EVERYTHING - sum(arm.match.weight for arm in by_weight)
    others = [_backend(traffic.stable, left), *(_backend(arm.backend, arm.match.weight) for arm in by_weight)]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": traffic.service, "namespace": traffic.namespace},
        "spec": {
            "parentRefs": [{"name": name, **({"namespace": namespace} if namespace else {})}],
            "hostnames": [traffic.host],
            "rules": [
                *(_by_header(arm) for arm in traffic.canaries if arm.match.pattern not in ("", NOBODY)),
                {"backendRefs": others if by_weight else [_backend(traffic.stable)]},
            ],
        },
    }


def whole(pattern: str) -> str:
    """Return the pattern for gateways that match the whole value and for those that search in it, alike."""
    return pattern if pattern.startswith("^") and pattern.endswith("$") else f"^.*(?:{pattern}).*$"


def _check(canaries: Sequence[Arm], *, behind_proxy: bool) -> None:
    headers = {arm.match.header for arm in canaries}
    if BUCKET_HEADER in headers and not behind_proxy:
        raise UnexpressibleError(
            "an HTTPRoute can't ask the bucketer before it routes, so a client could choose its bucket. Let a proxy "
            f"before the gateway ask it and overwrite {BUCKET_HEADER}, and say so; or split by: tail"
        )
    if len(canaries) < 2:
        return
    if headers - {BUCKET_HEADER, ""} or len(headers) > 1:
        raise UnexpressibleError(
            "several canaries need by: bucket or by: weight without testers: of other patterns a user may match two"
        )
    if sum(arm.match.weight for arm in canaries) > EVERYTHING:
        raise UnexpressibleError(f"the canaries' weights add up to more than {EVERYTHING}; lower one")
    seen: set[int] = set()
    for arm in canaries:
        buckets = endings(arm.match.pattern) if arm.match.pattern else frozenset()
        if seen & buckets:
            raise UnexpressibleError(f"{arm.backend} shares buckets with another canary; give each a lane of its own")
        seen |= buckets


def _by_header(arm: Arm) -> dict[str, Any]:
    found = {"type": "RegularExpression", "name": arm.match.header, "value": whole(arm.match.pattern)}
    if arm.match.header == TESTER_HEADER:
        # A word needs no engine for patterns, which gateways need not have.
        found |= {"type": "Exact", "value": arm.match.pattern[1:-1]}
    return {"matches": [{"headers": [found]}], "backendRefs": [_backend(arm.backend)]}


def _backend(name: str, weight: int | None = None) -> dict[str, Any]:
    return {"name": name, "port": PORT, **({} if weight is None else {"weight": weight})}
