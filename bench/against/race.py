"""Runs another controller on the same cluster against the same fault, and measures it as the agent is measured.

The controller is a process in the cluster's network with the admin's rights; its kinds and its namespace go at the end.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.against import argo, echo, flagger
from bench.load import sending
from local import gateway, kubernetes
from local.errors import LocalError
from local.network import ENTER
from local.places import Network
from local.traffic import Client

_SECONDS = 180.0
_WEIGHT = 20


@dataclass(frozen=True)
class Rival:
    """One controller: how it starts, what it needs, and how it is given a release."""

    name: str
    namespace: str
    interval: float
    command: Callable[[Network], Sequence[str]]
    definitions: Callable[[], Sequence[str]]
    objects: Callable[[Network], Sequence[dict[str, Any]]]
    release: Callable[[str], dict[str, Any]]
    canary_name: Callable[[], str]
    ready: Sequence[str]


RIVALS = {
    "argo": Rival(
        "Argo Rollouts",
        argo.NAMESPACE,
        5.0,
        lambda _: argo.command(),
        argo.definitions,
        argo.objects,
        argo.release,
        argo.canary_name,
        ("rollout", "jsonpath={.status.phase}=Healthy"),
    ),
    "flagger": Rival(
        "Flagger",
        flagger.NAMESPACE,
        10.0,
        flagger.command,
        flagger.definitions,
        flagger.objects,
        flagger.release,
        flagger.canary_name,
        ("canary", "jsonpath={.status.phase}=Initialized"),
    ),
}


def seconds_to_zero(rival: Rival, net: Network, runs: int, healthy: float) -> list[float]:
    """Break `runs` canaries under load; seconds from the first failed answer to the last request on each of them."""
    with _running(rival, net):
        return [_fail_once(rival, net, f"v{number + 2}", healthy) for number in range(runs)]


def _fail_once(rival: Rival, net: Network, release: str, healthy: float) -> float:
    # What the release before has failed is still in the window for a while.
    _until(lambda: _errors(rival, net) == 0.0, "the window still has errors")
    echo.apply(rival.namespace, rival.release(release))
    gateway.wait_for_weight(rival.namespace, "chat", _WEIGHT, _SECONDS)
    with sending(Client(net.gateway, f"{rival.namespace}.{echo.HOST}", 32), release) as load:
        # A fault comes at any moment between two looks.
        time.sleep(healthy + random.uniform(0.0, rival.interval))  # noqa: S311 (no secret)
        assert not load.failures, f"{rival.name}: {release} failed before it was broken"
        assert any(answer.release == release for _, _, answer in load.answers), f"nobody reached {release}"
        _exec(rival, release, "touch", echo.FAULT)
        _until(lambda: bool(load.failures), f"{release} did not fail")
        gateway.wait_for_weight(rival.namespace, "chat", 0, _SECONDS)
        time.sleep(2.0)  # what is under way still answers, and whoever comes now must not reach the canary
    took = load.fault_to_zero
    print(f"{rival.name} {release}: {took:.2f} s, {len(load.failures)} failed answers", file=sys.stderr, flush=True)
    return took


def _errors(rival: Rival, net: Network) -> float:
    """The share of failed answers that the controller sees now."""
    asked = {"query": echo.errors(rival.canary_name())}
    answer = requests.get(f"{net.prometheus}/api/v1/query", params=asked, timeout=10).json()
    return float(answer["data"]["result"][0]["value"][1])


def _exec(rival: Rival, release: str, *command: str) -> None:
    """Run a command in the pod of that release."""
    pods = json.loads(kubernetes.kubectl("-n", rival.namespace, "get", "pods", "--selector=app", "-o", "json"))["items"]
    (pod,) = [one for one in pods if one["spec"]["containers"][0]["env"][0]["value"] == release]
    kubernetes.kubectl("-n", rival.namespace, "exec", pod["metadata"]["name"], "--", *command)


@contextmanager
def _running(rival: Rival, net: Network) -> Iterator[None]:
    kinds = rival.definitions()
    files = [word for file in kinds for word in ("-f", file)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # A run that was killed leaves its own.
        _clear(rival, files)
        try:
            kubernetes.kubectl("apply", "--server-side", *files)
            kubernetes.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files, timeout=70)
            kubernetes.kubectl("create", "namespace", rival.namespace)
            with log.open("wb") as sink:
                process = subprocess.Popen([*ENTER, *rival.command(net)], stdout=sink, stderr=subprocess.STDOUT)
            try:
                echo.apply(rival.namespace, *rival.objects(net))
                kind, condition = rival.ready
                waited = f"--timeout={_SECONDS:.0f}s"
                kubernetes.kubectl(
                    "-n", rival.namespace, "wait", f"{kind}/chat", f"--for={condition}", waited, timeout=_SECONDS + 10
                )
                yield
            except BaseException:
                print(log.read_text()[-3000:], file=sys.stderr)
                raise
            finally:
                process.terminate()
                process.wait(20)
        finally:
            _clear(rival, files)


def _clear(rival: Rival, files: Sequence[str]) -> None:
    # What is left is told; the next thing is cleared nevertheless.
    for words in (("namespace", rival.namespace), files):
        with suppress(LocalError):
            kubernetes.kubectl("delete", *words, "--ignore-not-found", "--timeout=90s", timeout=100)


def _until(true: Callable[[], bool], else_: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < deadline, else_
        time.sleep(0.02)
