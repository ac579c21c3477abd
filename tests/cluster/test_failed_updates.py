"""Updates that go wrong: they end in time, say why, leave the weight alone, and the next one works."""

import signal

import pytest
import yaml

from local import processes
from local.places import ROOT, STATE
from tests.cluster.conftest import Project

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
LOAD_SECONDS = 8


@pytest.fixture(scope="module", autouse=True)
def _stable_alone(project: Project) -> None:
    project.write_settings(canary=None, weight=0)
    result = project.stack.up()
    assert result.ok, result.output


def test_a_pod_that_never_becomes_ready_ends_the_up_in_its_declared_time(project: Project) -> None:
    broken = yaml.safe_load((ROOT / "releases" / "v2.yaml").read_text())
    broken |= {"name": "broken", "load_seconds": LOAD_SECONDS, "resources": {"cpu": "50m", "memory": "1Gi"}}
    broken["model"]["path"] = "/models/not-there"
    (project.folder / "releases" / "broken.yaml").write_text(yaml.safe_dump(broken))
    project.write_settings(canary="broken", weight=5)
    result = project.stack.up()
    assert not result.ok
    assert result.seconds < LOAD_SECONDS + 40
    assert "chat-broken" in result.output
    assert project.annotations()[WEIGHT] == "0"
    answers = project.client().ask_all([f"user-{n}" for n in range(50)], ["hello"], concurrency=4)
    assert {answer.release.rpartition("-")[0] for answer in answers} == {"echo-v1"}

    project.write_settings(canary=None, weight=0)
    given_up = project.stack.up()
    assert given_up.ok, given_up.output


def test_a_killed_up_is_told_and_another_one_finishes_the_work(project: Project) -> None:
    project.write_settings(canary="echo-v2", weight=5)
    _start_and_kill(project)

    locked = project.stack.up()
    if not locked.ok:
        assert "locked" in locked.output
        assert "pulumi cancel" in locked.output
        assert project.stack.pulumi("cancel", "--yes", "--stack", project.name).ok
    refreshed = project.stack.pulumi(
        "refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", project.name
    )
    assert refreshed.ok, refreshed.output
    project.up_at(5)


def test_no_file_of_the_state_is_written_in_place(project: Project) -> None:
    # The engine renames a whole file over each. What it keeps beside them it does not: a kill would leave half of one.
    assert project.stack.select().ok
    files = [file.name for file in (STATE / "pulumi").rglob("*")]
    assert f"{project.name}.json" in files
    assert not [name for name in files if name.endswith(".attrs")]


def _start_and_kill(project: Project) -> None:
    """Kill an `up` and all its helpers as soon as it has begun to create the canary."""
    with project.stack.start("up", "--yes", "--skip-preview", "--stack", project.name) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Deployment" in line and "chat-echo-v2" in line and "creating" in line:
                break
        processes.kill_tree([process.pid])
    assert process.returncode == -signal.SIGKILL
