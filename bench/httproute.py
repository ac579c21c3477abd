"""Does a gateway that reads the Gateway API serve what `serinus render --as httproute` prints?

On the local cluster's API server, with a Traefik of its own that reads nothing but HTTPRoutes, the definitions from the
Go module sigs.k8s.io/gateway-api, and no pods. All of it is gone at the end. The last line is JSON:

modes, users           ways to split, and the users asked for at each step of each
misrouted              another release than `serinus route` tells, or no answer
moved_back             users who left the canary while the share grew
several_misrouted      with three releases at once, users of buckets of one who got another
several_moved          users whom another canary's growth moved

usage: python bench/httproute.py
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.routing import Headers, headers_of
from local import cluster, gateway, golang, kubernetes, lock, network
from local.places import PKI, Network
from serinus.rollout.buckets import lanes
from serinus.rollout.renderers import Arm, Traffic, http_route
from serinus.rollout.route import CANARY, Declared, route
from serinus.rollout.routing import Split, match
from tests.cluster.guarded import apply
from tests.cluster.routed import Release, Routed, routed

NAME = "bench-httproute"
STEPS = (5, 20, 50, 100)
_PORT, _API_PORT = 8000, 8001
_GROUP = "gateway.networking.k8s.io"
# All that Traefik asks for: without one of them it reads none.
_DEFINITIONS = (
    "gatewayclasses",
    "gateways",
    "httproutes",
    "grpcroutes",
    "tlsroutes",
    "referencegrants",
    "backendtlspolicies",
    "listenersets",
)
USERS = [f"user-{number:02x}" for number in range(256)]
MODES = (
    {"by": "tail"},
    {"by": "tail", "base": 16},
    {"by": "tail", "only": {"values": ["VIP"]}},
    {"by": "cookie", "cookie": "uid"},
)
BARS = {"misrouted": 0, "moved_back": 0, "several_misrouted": 0, "several_moved": 0}
"""What a figure may be at most."""


class Served:
    """One service behind the Gateway, routed by whatever HTTPRoute was applied last."""

    def __init__(self, place: Routed) -> None:
        self.place = place
        self._url = f"http://{place.network.node}:{_PORT}/chat"

    def tell(self, *arms: Arm) -> None:
        """Apply the route, and wait until the gateway matches by it."""
        traffic = Traffic("chat", self.place.name, self.place.host, "chat-echo-v1", arms)
        document = http_route(traffic, "bench", behind_proxy=True)
        apply(document)
        headers = [match["headers"][0] for rule in document["spec"]["rules"] for match in rule.get("matches", [])]
        wanted = sorted(one["value"] for one in headers)
        self.place.until(lambda: sorted(_patterns()) == wanted)

    def releases(self, requests: Sequence[Headers]) -> list[str]:
        """Ask for each; return who answered, empty for a refusal."""
        return [self.place.ask(*headers, url=self._url).release for headers in requests]


def one_canary(served: Served) -> dict[str, int]:
    """Take users through the steps of each way to split."""
    misrouted = moved_back = 0
    for mode in MODES:
        split = Split.model_validate(mode)
        told = Declared(split, STEPS)
        people = [(user, tag) for user in USERS for tag in ("", *(split.only.values if split.only else ()))]
        before: set[tuple[str, str]] = set()
        for weight in STEPS:
            served.tell(Arm("chat-echo-v2", match(split, weight)))
            answers = served.releases([headers_of(split, *one) for one in people])
            there = {one for one, answer in zip(people, answers, strict=True) if answer == "echo-v2"}
            due = ["echo-v2" if route(told, *one).roles[weight] == CANARY else "echo-v1" for one in people]
            misrouted += sum(answer != one for answer, one in zip(answers, due, strict=True))
            moved_back += len(before - there)
            before = there
        print(f"{mode}: {misrouted} misrouted, {moved_back} moved back", file=sys.stderr, flush=True)
    return {"misrouted": misrouted, "moved_back": moved_back}


def several(served: Served) -> dict[str, int]:
    """Run two canaries beside the stable release, and let one grow."""
    own = lanes({"echo-v2": 40, "echo-v3": 30})
    split = Split.model_validate(served.place.bucket())
    wrong, found = 0, []
    for share in (5, 30):
        shares = {"echo-v2": 20, "echo-v3": share}
        served.tell(*(Arm(f"chat-{name}", match(split, part, lane=own[name])) for name, part in shares.items()))
        # The proxy before this gateway is played here: it says the bucket.
        answers = served.releases([[("X-User-Bucket", f"{bucket:02d}")] for bucket in range(100)])
        due = [
            next((name for name, part in shares.items() if bucket in own[name].range(part)), "echo-v1")
            for bucket in range(100)
        ]
        wrong += sum(answer != one for answer, one in zip(answers, due, strict=True))
        found.append(answers)
    grown = ("echo-v1", "echo-v3")
    moved = sum(before != after and (before, after) != grown for before, after in zip(*found, strict=True))
    return {"several_misrouted": wrong, "several_moved": moved}


@contextlib.contextmanager
def serving(net: Network) -> Iterator[Served]:
    """Bring the definitions, a Gateway, a Traefik that reads it, and three releases; take all away at the end."""
    with contextlib.ExitStack() as stack:
        module = golang.sources(golang.TOOLCHAIN / "gateway-api", "sigs.k8s.io/gateway-api")
        folder = module / "config" / "crd" / "standard"
        for name in _DEFINITIONS:
            file = str(folder / f"gateway.networking.k8s.io_{name}.yaml")
            stack.callback(kubernetes.kubectl, "delete", "-f", file, "--ignore-not-found", "--wait=false")
            kubernetes.kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
        kubernetes.kubectl("wait", "--for=condition=Established", "crd", *(f"{name}.{_GROUP}" for name in _DEFINITIONS))
        place = stack.enter_context(routed(net, NAME))
        place.split({"by": "weight"}, 0)
        stack.enter_context(_third_release(place))
        for document in _gateway(place.name):
            apply(document)
        stack.callback(kubernetes.kubectl, "delete", "clusterrole,clusterrolebinding", NAME, "--ignore-not-found")
        stack.enter_context(_traefik(net))
        yield Served(place)


def _gateway(namespace: str) -> Iterator[Mapping[str, Any]]:
    """The class, the Gateway, and what its Traefik may read and say."""
    rules = [
        {"apiGroups": [_GROUP], "resources": ["*"], "verbs": ["get", "list", "watch", "update", "patch"]},
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
    ]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": NAME}}
    yield {**role, "kind": "ClusterRole", "rules": rules}
    yield {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "serinus-gateway"}],
    }
    api = {"apiVersion": f"{_GROUP}/v1"}
    yield {
        **api,
        "kind": "GatewayClass",
        "metadata": {"name": NAME},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }
    listener = {"name": "web", "protocol": "HTTP", "port": _PORT}
    yield {
        **api,
        "kind": "Gateway",
        "metadata": {"name": "bench", "namespace": namespace},
        "spec": {"gatewayClassName": NAME, "listeners": [listener]},
    }


@contextlib.contextmanager
def _traefik(net: Network) -> Iterator[None]:
    provider = "--providers.kubernetesGateway"
    words = [
        *network.ENTER,
        str(gateway.program()),
        f"--entryPoints.web.address={net.node}:{_PORT}",
        f"--entryPoints.traefik.address={net.node}:{_API_PORT}",
        "--api.insecure=true",
        provider,
        f"{provider}.endpoint={net.api}",
        f"{provider}.token={PKI}/gateway.token",
        f"{provider}.certAuthFilePath={PKI}/ca.crt",
        "--providers.providersThrottleDuration=100ms",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=ERROR",
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def _third_release(place: Routed) -> Iterator[None]:
    server = Release(place.network.host, "echo-v3")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        metadata = {"name": "chat-echo-v3", "namespace": place.name}
        apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}})
        place.serve("chat-echo-v3", server.server_address[1])
        yield
    finally:
        server.shutdown()
        server.server_close()


def _patterns() -> list[str]:
    """The values that the gateway's routers match by now; one that no route has before it answers at all."""
    # Both texts are written as Go does, which is as JSON does.
    quoted = re.compile(r'HeaderRegexp\("(?:[^"\\]|\\.)*",\s*("(?:[^"\\]|\\.)*")\)')
    try:
        rules = gateway.rules_at(_API_PORT, f"httproute-{NAME}-")
    except OSError:
        rules = []
    return [json.loads(found) for rule in rules for found in quoted.findall(rule)] if rules else [""]


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description="A gateway of the Gateway API, routed by rendered routes.").parse_args()
    started = time.monotonic()
    with lock.held("make bench-httproute"), serving(cluster.up()) as served:
        report = {"modes": len(MODES), "users": len(USERS), **one_canary(served), **several(served)}
    report["seconds"] = round(time.monotonic() - started)
    print(json.dumps({**report, "bars": BARS, "missed": [name for name, most in BARS.items() if report[name] > most]}))


if __name__ == "__main__":
    main()
