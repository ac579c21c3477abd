"""Fifty services in one cluster, ten of them in a rollout with traffic: is the one agent quick and small?

One real stack, whose `pulumi up` of another weight is timed: alone, with the fleet beside it, and alone again. The
other services are objects straight on the API server, each with its own CanaryRelease, Ingresses, terms and rights;
their Services lead to the stack's two pods, which answer for all of them. While the fleet stands the statuses are
looked at once a second, and at the end some of the canaries are rolled back by their tokens. The last line is JSON:
services, rollouts, status_age_worst_s, agent_rss_mb and agent_cpu_cores (of the replica that needs most), agents,
up_ratio, demand_to_zero_worst_s, and whether each bar is met.

usage: python bench/fleet.py [--services N] [--rollouts N] [--ups N] [--seconds S]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from local import cluster, gateway, kubernetes, lock
from local.traffic import Client, background
from serinus.agent.place import Place
from serinus.cli.cluster import bring_up
from serinus.rollout import agency
from serinus.rollout.agency_objects import binding_rules, books
from serinus.rollout.canary_release import API_VERSION, KIND, PLURAL
from serinus.rollout.share import CANARY, WEIGHT
from tests.cluster.agents import PROOF, rollback
from tests.cluster.agents import agents as agents_say
from tests.cluster.api import Api
from tests.cluster.conftest import Project

STACK = "bench-fleet"
BARS = {"status_age_worst_s": 10.0, "agent_rss_mb": 300.0, "agent_cpu_cores": 0.5, "up_ratio": 1.5}
_PART = "serinus.dev/bench"
_WEIGHT = 20
_DEMANDS = 5
_SECONDS = 120.0
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Member:
    """One service of the fleet: a number, and whether its canary has traffic."""

    number: int
    live: bool

    @property
    def place(self) -> Place:
        return Place(STACK, f"fleet-{self.number:02d}")

    @property
    def host(self) -> str:
        return f"{self.place.service}.serinus.test"

    @property
    def token(self) -> str:
        return f"proves a demand for {self.place}"

    def objects(self, pods: dict[str, dict[str, str]]) -> Iterator[dict[str, Any]]:
        """Everything that a stack would declare for it; `pods` are the labels of the pods behind both arms."""
        name, bound = self.place.service, agency.binding_name(self.place.service)
        for arm, selector in pods.items():
            ports = [{"name": "http", "port": 80, "targetPort": "http"}]
            yield self._object("v1", "Service", f"{name}-{arm}", spec={"selector": selector, "ports": ports})
        share = {CANARY: "true", WEIGHT: str(_WEIGHT if self.live else 0)}
        yield self._ingress("stable", "v1", {})
        yield self._ingress("canary", "v2", share)
        spec = {
            "service": name,
            "host": self.host,
            "stable": "v1-01234567",
            "canary": "v2-01234567",
            "weight": _WEIGHT if self.live else 0,
            "ladder": [{"weight": _WEIGHT}, {"weight": 100}],
        }
        yield self._object(API_VERSION, KIND, name, spec=spec)
        for book in books(name):
            yield self._object("v1", "ConfigMap", book)
        yield self._object("v1", "Secret", bound, stringData={agency.TOKEN: self.token})
        yield self._object(f"{_RBAC}/v1", "Role", bound, rules=binding_rules(name))
        role = {"apiGroup": _RBAC, "kind": "Role", "name": bound}
        yield self._object(f"{_RBAC}/v1", "RoleBinding", bound, roleRef=role, subjects=[agency.SUBJECT])

    def _object(self, version: str, kind: str, name: str, **content: object) -> dict[str, Any]:
        metadata = {"name": name, "namespace": STACK, "labels": {_PART: "fleet"}}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    def _ingress(self, role: str, arm: str, annotations: dict[str, str]) -> dict[str, Any]:
        name = self.place.service
        backend = {"service": {"name": f"{name}-{arm}", "port": {"name": "http"}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        spec = {"ingressClassName": gateway.CLASS, "rules": [{"host": self.host, "http": {"paths": paths}}]}
        made = self._object("networking.k8s.io/v1", "Ingress", f"{name}-{role}", spec=spec)
        made["metadata"]["annotations"] = annotations
        return made


@contextmanager
def fleet(members: list[Member]) -> Iterator[None]:
    """Put the services onto the API server, wait until the agent judges each, and take them away."""
    labels = "app.kubernetes.io/instance"
    pods = {arm: {labels: f"chat-echo-{arm}"} for arm in ("v1", "v2")}
    items = [one for member in members for one in member.objects(pods)]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    try:
        kubernetes.kubectl("apply", "--server-side", "-f", "-", input=document, timeout=180)
        until(lambda: len(statuses()) == len(members) + 1, "the agent did not judge every service")
        yield
    finally:
        kinds = f"rolebindings,roles,ingresses,{PLURAL},services,secrets,configmaps"
        kubernetes.kubectl("-n", STACK, "delete", kinds, f"--selector={_PART}=fleet", "--wait=false", timeout=180)


def statuses() -> dict[str, dict[str, Any]]:
    """The status of each service that has one."""
    found = Api().get(f"/apis/{API_VERSION}/namespaces/{STACK}/{PLURAL}").document["items"]
    return {one["metadata"]["name"]: one["status"] for one in found if one.get("status", {}).get("observedAt")}


def oldest() -> float:
    """Seconds since the status that nobody has written for the longest time."""
    now = datetime.now(UTC)
    seen = [datetime.fromisoformat(one["observedAt"].replace("Z", "+00:00")) for one in statuses().values()]
    return max((now - one).total_seconds() for one in seen)


def timed_ups(project: Project, count: int) -> list[float]:
    """Change the stack's weight so many times; seconds of each `pulumi up`."""
    taken = []
    for number in range(count):
        weight = 0 if number % 2 else 5
        assert project.stack.set("weight", str(weight)).ok
        began = time.monotonic()
        result = project.stack.up()
        taken.append(time.monotonic() - began)
        assert result.ok, result.output
        print(f"up to {weight}: {taken[-1]:.2f} s", file=sys.stderr, flush=True)
        until(partial(seen_at, weight), "the agent did not see the weight")
    return taken


def seen_at(weight: int) -> bool:
    """Tell whether the agent has seen the stack's service at this weight."""
    return bool(statuses()["chat"]["weight"] == weight)


def agents() -> dict[str, dict[str, float]]:
    """What each of the agent's pods says of itself: its memory and the CPU that it has used."""
    pods = json.loads(agents_say("get", "pods", "-o", "json"))["items"]
    return {one["metadata"]["name"]: series(one["status"]["podIP"]) for one in pods}


def series(address: str) -> dict[str, float]:
    """The series without labels of an agent."""
    with urllib.request.urlopen(f"http://{address}:{agency.PORT}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line and line[0] != "#" and "{" not in line}


def demand_once(member: Member) -> float:
    """Demand a rollback with the service's token; seconds until the gateway sends nobody to its canary."""
    request = rollback(member.place.service, member.token, "the benchmark says so")
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 (our own agent)
        assert answer.status == 202
    until(lambda: gateway.weight_seen(STACK, member.place.service) == 0, "the canary was not cut", pause=0.01)
    return time.monotonic() - began


def until(true: Callable[[], bool], what: str, pause: float = 0.2) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(pause)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--rollouts", type=int, default=10)
    parser.add_argument(
        "--ups", type=int, default=4, help="an even number; so many with the fleet, before it, and after it"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the statuses are looked at")
    chosen = parser.parse_args()
    cluster.require_root()
    with lock.held("bench-fleet"), tempfile.TemporaryDirectory() as folder:
        network = bring_up()
        project = Project(Path(folder) / STACK, STACK, network)
        project.create(weight=0, guard=True, agent=True, agentToken=PROOF, ladder=[{"weight": 5}, {"weight": 100}])
        try:
            result = project.stack.up()
            assert result.ok, result.output
            until(lambda: "chat" in statuses(), "the agent did not judge the stack's service")
            members = [Member(number, number < chosen.rollouts) for number in range(chosen.services - 1)]
            alone = timed_ups(project, chosen.ups)
            with fleet(members), ExitStack() as traffic:
                for member in members[: chosen.rollouts]:
                    client = Client(network.gateway, member.host, 4)
                    traffic.enter_context(background(client, ["hello"], per_second=2))
                before, began = agents(), time.monotonic()
                ages = []
                while time.monotonic() - began < chosen.seconds:
                    ages.append(oldest())
                    time.sleep(1.0)
                after, took = agents(), time.monotonic() - began
                assert before.keys() == after.keys(), "an agent's pod began anew"
                beside = timed_ups(project, chosen.ups)
                demands = [demand_once(member) for member in members[: min(_DEMANDS, chosen.rollouts)]]
            alone += timed_ups(project, chosen.ups)
        finally:
            project.close()
    used = "process_cpu_seconds_total"
    figures = {
        "status_age_worst_s": round(max(ages), 1),
        "agent_rss_mb": round(max(one["process_resident_memory_bytes"] for one in after.values()) / 1e6),
        "agent_cpu_cores": round(max((after[name][used] - before[name][used]) / took for name in after), 3),
        "up_ratio": round(statistics.median(beside) / statistics.median(alone), 2),
    }
    counted = {"services": chosen.services, "rollouts": chosen.rollouts, "agents": len(after)}
    more = {"demand_to_zero_worst_s": round(max(demands), 3) if demands else None, "looked_seconds": round(took)}
    met = {f"{name}_met": value <= BARS[name] for name, value in figures.items()}
    print(json.dumps({**counted, **figures, **more, **met}))


if __name__ == "__main__":
    main()
