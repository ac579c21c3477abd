"""The replicas of the cluster's agent: told, killed, and cut off from the API server."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import debian, kubernetes
from local.network import ENTER
from local.shell import output
from serinus.rollout import agency
from tests.cluster.agents import Watched, agents, told

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{agency.NAMESPACE}/leases/{agency.NAME}"
_SECONDS = 120.0


@dataclass(frozen=True)
class Pod:
    """One pod of the agent."""

    name: str
    uid: str
    address: str
    ready: bool

    def processes(self) -> list[int]:
        """The pids of its program, as the machine counts them. What holds the pod's network open is not among them."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                inside = entry.name.isdigit() and f"pod{self.uid}" in (entry / "cgroup").read_text()
                if inside and (entry / "comm").read_text().strip() != "pause":
                    found.append(int(entry.name))
        return found


class Doomed:
    """Processes that were looked for beforehand, so that they die the moment it is asked for."""

    def __init__(self, pods: Sequence[Pod]) -> None:
        self._names = [pod.name for pod in pods]
        self._pids = [pid for pod in pods for pid in pod.processes()]

    def kill(self) -> None:
        """Kill every process at once, without a word."""
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def replace(self) -> None:
        """Have new pods in the place of the killed ones: a container that dies often is restarted later and later."""
        force = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        kubernetes.kubectl("-n", agency.NAMESPACE, "delete", "pod", *self._names, *force)


class Replicas:
    """All replicas, as whoever has the token of one service reaches them."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def pods(self) -> list[Pod]:
        """The pods that run or are about to."""
        return [_pod(one) for one in json.loads(agents("get", "pods", "--output=json"))["items"] if _lives(one)]

    def wait_until_ready(self, number: int) -> None:
        """Wait until so many replicas take demands."""
        self._watched.until(lambda: sum(pod.ready for pod in self.pods()) >= number)

    def doomed(self) -> Doomed:
        """All of them, to be killed."""
        return Doomed(self.pods())

    def post(self, path: str, body: object) -> int:
        """Send something once; return the status code, 0 where nobody answers."""
        try:
            with urllib.request.urlopen(told(path, body), timeout=20) as answer:  # noqa: S310 (the cluster's own)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def post_until_taken(self, path: str, body: object) -> None:
        """Send it as Alertmanager does, again and again until it is taken."""
        deadline = time.monotonic() + _SECONDS
        while (code := self.post(path, body)) != 202:
            assert code in (0, 503), f"the agent answers {code}"
            assert time.monotonic() < deadline, "the agent takes nothing"
            time.sleep(0.2)

    def post_at_once(self, path: str, bodies: Sequence[object], senders: int) -> None:
        """Send many things side by side, each until it is taken."""
        with ThreadPoolExecutor(max_workers=senders) as pool:
            list(pool.map(lambda body: self.post_until_taken(path, body), bodies))

    @contextmanager
    def cut_off_from(self, port: int) -> Iterator[None]:
        """Drop every packet of the agent's pods to this port of the node: connections hang, as with a dead host."""
        rules = [["INPUT", "-s", pod.address, "-p", "tcp", "--dport", str(port), "-j", "DROP"] for pod in self.pods()]
        assert rules
        try:
            for rule in rules:
                _iptables("--insert", *rule)
            yield
        finally:
            for rule in rules:
                _iptables("--delete", *rule)


def _iptables(*words: str) -> None:
    programs = debian.unpacked()
    path = f"PATH={programs}/usr/sbin:{os.environ['PATH']}"
    output([*ENTER, "env", path, "iptables", "--wait", *words], what="a packet filter")


def _pod(document: dict[str, Any]) -> Pod:
    metadata, status = document["metadata"], document["status"]
    conditions = status.get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return Pod(metadata["name"], metadata["uid"], status.get("podIP", ""), ready)


def _lives(document: dict[str, Any]) -> bool:
    return "deletionTimestamp" not in document["metadata"] and document["status"]["phase"] in ("Running", "Pending")
