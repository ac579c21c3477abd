"""A stack that has bound the cluster's agent, and the ways to break its canary and to see what becomes of it."""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from local import gateway, kubernetes
from local.places import network
from serinus.rollout import agency
from serinus.rollout.agency_objects import COMPONENT
from serinus.rollout.canary_release import API_VERSION
from serinus.rollout.share import WEIGHT
from tests.cluster.api import Api
from tests.cluster.conftest import Project
from tests.cluster.guarded import BREAK_GLASS, apply, permission, serinus

PROOF = "proves who demands a rollback"
WEIGHT_ON_TRIAL = 20
_FAULT = "/tmp/drill"
# Another release in each run: a budget counts what a release has cost today, also in a run before this one.
_RELEASE = f"""
name: echo-drill
image: localhost/serinus-serving:local
engine: echo
model: {{id: echo, path: /models, revision: "3"}}
prompt: {{system: echo of {time.time_ns()}}}
options: {{fail_file: {_FAULT}}}
load_seconds: 120
drain_seconds: 5
resources: {{cpu: 100m, memory: 256Mi}}
"""
_SECONDS = 120.0


def agents(*words: str) -> str:
    """What kubectl says of the agent's pods, or does to them."""
    verb, *flags = words
    selected = f"--selector=app.kubernetes.io/component={COMPONENT}"
    return kubernetes.kubectl("-n", agency.NAMESPACE, verb, selected, *flags)


def rollback(service: str, token: str, reason: str) -> urllib.request.Request:
    """The request by which whoever has a service's token demands a rollback of the agent."""
    return told("/v1/rollback", {"service": service, "reason": reason}, token)


def told(path: str, body: object, token: str = PROOF) -> urllib.request.Request:
    """The request by which whoever has a service's token tells the agent something."""
    address = Api().get(f"/api/v1/namespaces/{agency.NAMESPACE}/services/{agency.NAME}").document["spec"]["clusterIP"]
    return urllib.request.Request(
        f"http://{address}:{agency.PORT}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )


class Watched:
    """A project whose canary an agent watches on these terms, with `more` settings. Its release can be broken."""

    def __init__(self, project: Project, terms: Mapping[str, object] | None = None, **more: object) -> None:
        self.project = project
        namespace = project.name
        self.ingress_path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/chat-canary"
        self.release_path = f"/apis/{API_VERSION}/namespaces/{namespace}/canaryreleases/chat"
        self.api = Api()
        self.rescuer = Api("ada", BREAK_GLASS)
        (project.folder / "releases" / "echo-drill.yaml").write_text(_RELEASE)
        settings: dict[str, object] = {
            "canary": "echo-drill",
            "weight": 0,
            "guard": True,
            "breakGlass": BREAK_GLASS,
            "ladder": [{"weight": WEIGHT_ON_TRIAL}, {"weight": 100}],
            "agent": terms or True,
            "agentToken": PROOF,
        }
        project.write_settings(**settings | more)

    def declare(self) -> None:
        """Bring the stack up with the canary at rest, and wait until the agent sees it."""
        result = self.project.stack.up()
        assert result.ok, result.output
        apply(*permission(self.project.name, "rescue", {"kind": "Group", "name": BREAK_GLASS}, "ingresses"))
        self.until(lambda: self.status.get("verdict") == "insufficient")

    @property
    def status(self) -> dict[str, Any]:
        """The status as it is now, empty without one."""
        found: dict[str, Any] = self.api.get(self.release_path).document.get("status", {})
        return found

    @property
    def weight(self) -> str:
        """The canary Ingress' weight as it is now."""
        return str(self.api.get(self.ingress_path).document["metadata"]["annotations"][WEIGHT])

    def until(self, true: Callable[[], bool], seconds: float = _SECONDS) -> None:
        """Wait until it is true; a slow machine may take long."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, (self.weight, self.status, self.log())
            time.sleep(0.05)

    def log(self) -> str:
        """The last words of the agents."""
        return agents("logs", "--tail=20", "--prefix")

    def break_canary(self, broken: bool = True) -> None:
        """Let the canary fail every request from now on, or none."""
        command = ["touch", _FAULT] if broken else ["rm", "-f", _FAULT]
        kubernetes.kubectl("-n", self.project.name, "exec", "deployment/chat-echo-drill", "--", *command)

    def drill(self) -> dict[str, Any]:
        """Break the canary on purpose, as a person does, and return what the drill measured."""
        where = ("--gateway", network().gateway, "--limit", "90", "--yes", "--json")
        done = serinus("drill", "chat", "-n", self.project.name, *where, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def resume(self) -> None:
        """End the hold as a person does, and wait until the agent agrees."""
        done = serinus("resume", "chat", "-n", self.project.name, "--reason", "a test looked at it", "--by", "ada")
        assert done.returncode == 0, done.stdout + done.stderr
        self.until(lambda: "hold" not in self.status and self.status.get("verdict") == "insufficient")

    def rise(self) -> None:
        """Raise the canary onto trial, and wait until the agent has seen it."""
        self.project.up_at(WEIGHT_ON_TRIAL)
        self.until(lambda: self.status.get("weight") == WEIGHT_ON_TRIAL)

    def rise_at_once(self) -> None:
        """Put the canary on trial past any rung by breaking the glass, and wait until gateway and agent know."""
        raised = self.rescuer.patch(self.ingress_path, {"metadata": {"annotations": {WEIGHT: str(WEIGHT_ON_TRIAL)}}})
        assert raised.ok, raised.message
        gateway.wait_for_weight(self.project.name, "chat", WEIGHT_ON_TRIAL, _SECONDS)
        self.until(lambda: self.status.get("weight") == WEIGHT_ON_TRIAL)

    def wait_for_the_cut(self) -> None:
        """Wait until the Ingress is cut, the gateway follows, and the hold says why."""
        self.until(lambda: self.weight == "0")
        gateway.wait_for_weight(self.project.name, "chat", 0, _SECONDS)
        self.until(lambda: "hold" in self.status and self.status.get("weight") == 0)

    def demand_rollback(self, reason: str) -> int:
        """Demand a rollback of the agent, as an alert's receiver may; the status code of its answer."""
        with urllib.request.urlopen(rollback("chat", PROOF, reason), timeout=20) as answer:  # noqa: S310 (our own agent)
            return int(answer.status)
