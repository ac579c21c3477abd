"""`serinus plan` on a real stack: before a step, before a jump, after a change by hand; and what it never says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local import engine, kubernetes
from tests.cluster.conftest import Project

SECRET = "only-the-engine-may-know"  # noqa: S105 (made up, to be looked for)
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def run(project: Project, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, in the project's folder. Whatever it says, it never says the secret."""
    words = ["plan", "--stack", project.name, "--policies", "dev", *flags]
    done = subprocess.run(
        [sys.executable, "-c", "from serinus.cli.main import main; main()", *words],
        cwd=project.folder,
        env={**os.environ, **engine.environment()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert SECRET not in done.stdout + done.stderr
    return done


def plan(project: Project, weight: int, *flags: str) -> dict[str, Any]:
    """Return the JSON report of moving the weight; the setting is left at it."""
    assert project.stack.set("weight", str(weight)).ok
    done = run(project, "--json", *flags)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["exitCode"], done.stderr
    return report


@pytest.fixture(scope="module", autouse=True)
def _at_five(project: Project) -> None:
    assert project.stack.pulumi("config", "set", "--secret", "other:token", SECRET, "--stack", project.name).ok
    project.up_at(5)


def test_a_rise_that_nobody_has_judged_can_not_be_told(project: Project) -> None:
    report = plan(project, 20, "--requests-per-second", "20")
    assert (report["exitCode"], report["step"]["old"], report["step"]["new"]) == (2, 5, 20)
    assert report["evidence"] is None
    assert report["refusals"] == []
    assert report["feasibility"]["toFail"]["requests"] > 0
    assert [(one["op"], one["kind"], one["name"]) for one in report["changes"]] == [
        ("update", "Ingress", "chat-canary")
    ]


def test_a_jump_is_refused_with_the_rule_and_leaves_no_plan(project: Project, tmp_path: Path) -> None:
    kept = tmp_path / "plan.json"
    report = plan(project, 80, "--save-plan", str(kept))
    assert report["exitCode"] == 1
    assert "skipped-rung" in report["refusals"][0]["sentence"]
    assert not kept.exists()


def test_a_wrong_setting_is_refused_in_words(project: Project) -> None:
    report = plan(project, 101)
    assert (report["exitCode"], report["step"]) == (1, None)
    assert "0 to 100" in report["refusals"][0]["sentence"]


def test_a_plan_binds_the_update(project: Project, tmp_path: Path) -> None:
    kept = tmp_path / "plan.json"
    assert plan(project, 0, "--save-plan", str(kept))["exitCode"] == 0
    assert SECRET not in kept.read_text()
    assert project.stack.set("weight", "20").ok
    assert not project.stack.up("--plan", str(kept)).ok
    assert project.annotations()[WEIGHT] == "5"
    assert project.stack.set("weight", "0").ok
    assert project.stack.up("--plan", str(kept)).ok
    assert project.annotations()[WEIGHT] == "0"
    project.up_at(5)


def test_a_report_for_people_is_of_the_same_plan(project: Project) -> None:
    for flags in ([], ["--markdown"]):
        done = run(project, *flags)
        assert done.returncode == 0, done.stderr


def test_without_the_cluster_no_rise_is_judged_and_a_decrease_goes(project: Project) -> None:
    assert plan(project, 20, "--no-live")["exitCode"] == 2
    assert plan(project, 0, "--no-live")["exitCode"] == 0


def test_a_cut_and_a_change_by_hand_are_told_apart(project: Project) -> None:
    patch = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "chat-canary", "namespace": project.name, "annotations": {WEIGHT: "0"}},
    }
    flags = ("apply", "--server-side", "--force-conflicts", "--field-manager=serinus-agent", "-f", "-")
    kubernetes.kubectl(*flags, input=json.dumps(patch))
    report = plan(project, 20)
    assert (report["exitCode"], report["step"]["old"]) == (1, 0)
    assert {one["rule"] for one in report["refusals"]} == {"field-conflict", "weight-ladder", "held"}
    (row,) = report["drift"]
    assert (row["checkpoint"], row["live"], row["cause"]) == ("5", "0", "cut by the agent")

    kubernetes.kubectl("-n", project.name, "annotate", "ingress", "chat-canary", f"{WEIGHT}=3", "--overwrite")
    (row,) = plan(project, 0)["drift"]
    assert (row["live"], row["cause"]) == ("3", "by hand, with kubectl")


def test_a_stack_that_is_not_there_could_not_be_told(project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from serinus.cli.main import main; main()", "plan", "--stack", "nowhere", "--json"],
        cwd=project.folder,
        env={**os.environ, **engine.environment()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "nowhere" in json.loads(done.stdout)["unknowns"][0]
