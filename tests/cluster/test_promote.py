"""A release from the first percent to the swap and back, by `serinus promote`, on a guarded stack under load."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import engine, gateway, kubernetes, processes
from local.traffic import background
from serinus.rollout.cut import MANAGER, ingress_cut
from serinus.rollout.verdict import Verdict
from tests.cluster.conftest import Project
from tests.cluster.guarded import serinus
from tests.cluster.witness import Witness, witnessed

PATIENCE = 200.0
LADDER = [{"weight": 5}, {"weight": 20}, {"weight": 100, "approval": True}]
PODS = "N:.metadata.name,U:.metadata.uid,R:.status.containerStatuses[0].restartCount"


@pytest.fixture(scope="module")
def witness(project: Project) -> Iterator[Witness]:
    """A guarded stack at 0 %, and somebody who says how the canary does."""
    done = serinus("install-crd")
    assert done.returncode == 0, done.stderr
    project.write_settings(guard=True, ladder=LADDER, weight=0, warmSeconds=0)
    result = project.stack.up()
    assert result.ok, result.output
    with witnessed(project.name) as witness:
        yield witness


def start(project: Project, *flags: str) -> "subprocess.Popen[str]":
    """Start a promoter of this stack; its output is one JSON document a line."""
    return subprocess.Popen(
        [Path(sys.executable).parent / "serinus", "promote", project.name, "--policies", "dev", "--json", *flags],
        cwd=project.folder,
        env={**os.environ, **engine.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until(promoter: "subprocess.Popen[str]", event: str) -> dict[str, Any]:
    """Read what a promoter says up to this event."""
    assert promoter.stdout is not None
    said = []
    for line in promoter.stdout:
        said.append(line)
        if line.startswith("{") and json.loads(line)["event"] == event:
            found: dict[str, Any] = json.loads(line)
            return found
    raise AssertionError("".join(said))


def promote(project: Project, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a promoter to its end; return its exit code and what it said."""
    with start(project, *flags, "--within", str(PATIENCE)) as promoter:
        output, _ = promoter.communicate(timeout=PATIENCE + 60)
    assert all(line.startswith("{") for line in output.splitlines()), output
    return promoter.returncode, [json.loads(line) for line in output.splitlines()]


def committed(project: Project) -> dict[str, Any]:
    config = yaml.safe_load((project.folder / f"Pulumi.{project.name}.yaml").read_text())["config"]
    return {role: config.get(f"serinus:{role}", "") for role in ("stable", "canary", "weight", "previous")}


def behind(project: Project, ingress: str) -> str:
    path = "jsonpath={.spec.rules[0].http.paths[0].backend.service.name}"
    return kubernetes.kubectl("-n", project.name, "get", "ingress", ingress, "-o", path)


def pods(project: Project) -> str:
    words = ("get", "pods", "-o", f"custom-columns={PODS}", "--sort-by=.metadata.name")
    return kubernetes.kubectl("-n", project.name, *words)


def holder(project: Project) -> str:
    path = "jsonpath={.spec.holderIdentity}"
    return kubernetes.kubectl("-n", project.name, "get", "lease", "chat-promoter", "-o", path)


@pytest.mark.timeout(900)  # seven updates of the stack; a hang ends by `--within` before
def test_a_release_climbs_becomes_stable_and_goes_back_without_a_lost_request(
    project: Project, witness: Witness
) -> None:
    before = pods(project)
    with background(project.client(32), ["hello"], per_second=20) as load:
        assert promote(project, "--until", "5")[0] == 0

        # The promoter and its engine die in the middle of an update; the next one clears up and goes on.
        with start(project) as killed:
            until(killed, "update")
            processes.kill_tree([killed.pid])
        code, said = promote(project)
        assert code == 4, said
        assert "serinus approve chat --weight 100" in said[-1]["remedy"]
        assert committed(project)["weight"] == 20

        witness.approved = (100,)
        code, said = promote(project, "--finish")
        assert code == 0, said
        assert committed(project) == {"stable": "echo-v2", "canary": "", "weight": 0, "previous": "echo-v1"}
        assert (behind(project, "chat-stable"), behind(project, "chat-canary")) == ("chat-echo-v2", "chat-echo-v2")

        code, said = promote(project, "--back")
        assert code == 0, said
        assert committed(project) == {"stable": "echo-v1", "canary": "echo-v2", "weight": 0, "previous": ""}
        assert behind(project, "chat-stable") == "chat-echo-v1"
    assert Counter(answer.status for answer in load.answers) == {200: len(load.answers)}
    assert len(load.answers) > 100
    assert witness.weights == [0, 5, 20, 100, 0]
    assert pods(project) == before


def test_a_second_promoter_is_told_who_is_first_and_ctrl_c_gives_the_seat_back(
    project: Project, witness: Witness
) -> None:
    witness.verdict = Verdict.BLIND
    with start(project) as first:
        until(first, "waiting")
        code, said = promote(project)
        assert code == 7, said
        assert f"pid {first.pid}" in said[-1]["sentence"]
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 130
    assert holder(project) == ""
    assert committed(project)["weight"] == 0


@pytest.mark.timeout(600)
def test_a_cut_stops_the_promoter_and_a_plain_update_and_converging_ends_it(project: Project, witness: Witness) -> None:
    witness.verdict, witness.approved = Verdict.PASS, ()
    assert promote(project, "--until", "5")[0] == 0
    cut = ingress_cut("chat-canary", project.annotations())
    words = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
    kubernetes.kubectl("-n", project.name, *words, input=json.dumps(cut))
    witness.hold = "every answer failed"

    code, said = promote(project)
    assert code == 3, said
    assert "every answer failed" in said[-1]["sentence"]
    plain = project.stack.up("--refresh")
    assert not plain.ok
    assert project.annotations()["nginx.ingress.kubernetes.io/canary-weight"] == "0"
    assert f'"{MANAGER}"' in plain.output or "(held)" in plain.output, plain.output

    done = subprocess.run(
        [
            Path(sys.executable).parent / "serinus",
            "rollback",
            "chat",
            "-n",
            project.name,
            "--reason",
            "as the agent did",
            "--yes",
            "--converge",
            "--stack",
            project.name,
        ],
        cwd=project.folder,
        env={**os.environ, **engine.environment()},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert committed(project)["weight"] == 0
    assert project.stack.up().ok
    gateway.wait_for_weight(project.name, "chat", 0)
