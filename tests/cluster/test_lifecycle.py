"""From nothing and back to nothing; and a cluster that heals from what killed runs leave."""

import json
import os
import signal
import threading
import time

from local import cluster, gateway, kubernetes
from local.places import Network
from local.traffic import Answer
from tests.cluster.conftest import Leaving, Project


def test_up_from_nothing_serves_and_destroy_leaves_nothing(project: Project) -> None:
    result = project.stack.up()
    assert result.ok, result.output
    gateway.wait_for_weight(project.name, "chat", 5)
    answers = project.client().ask_all([f"user-{n}" for n in range(100)], ["hello"], concurrency=8)
    assert [answer for answer in answers if answer.failed] == []

    gone = project.stack.destroy()
    assert gone.ok, gone.output
    assert project.stack.resources() == []
    everywhere = ("get", "--all-namespaces", "-o", "json", "--selector=serinus.dev/service")
    for kind in ("deployments", "services", "ingresses", "configmaps", "poddisruptionbudgets", "pods"):
        left = json.loads(kubernetes.kubectl(everywhere[0], kind, *everywhere[1:]))["items"]
        assert [item for item in left if item["metadata"]["namespace"] == project.name] == []


def test_a_cluster_with_killed_parts_heals_and_serves_again(
    project: Project, network: Network, leaving: Leaving
) -> None:
    assert project.stack.up().ok
    leaving.wait()  # what of earlier tests is still being taken away would fail, too
    for part in cluster.status():
        if part.name in {"apiserver", "containerd", "gateway"}:
            assert part.pid is not None
            os.kill(part.pid, signal.SIGKILL)
    assert cluster.up().gateway == network.gateway
    assert all(part.healthy for part in cluster.status())
    # Containers died with their daemon: until the node has started them again, their old addresses answer nobody.
    deadline = time.monotonic() + 150
    while failed := _failures(project):
        assert time.monotonic() < deadline, failed
        time.sleep(1)
    gateway.wait_for_weight(project.name, "chat", 5)


def _failures(project: Project) -> list[Answer]:
    answers = project.client().ask_all([f"user-{n}" for n in range(20)], ["hello"], concurrency=4)
    return [answer for answer in answers if answer.failed]


def test_a_warm_up_starts_nothing_again(network: Network) -> None:
    before = cluster.status()
    assert cluster.up().gateway == network.gateway
    assert cluster.status() == before


def test_a_part_that_answers_late_is_waited_for_and_not_started_again(network: Network) -> None:
    before = cluster.status()
    stopped = next(part.pid for part in before if part.name == "gateway")
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    going_on = threading.Timer(5.0, os.kill, (stopped, signal.SIGCONT))
    going_on.start()
    assert cluster.up().gateway == network.gateway
    assert not going_on.is_alive(), "the gateway was started again while it was only stopped"
    assert cluster.status() == before
