"""The workflows that we ship: who gets credentials, what is bound to the review, and that they name what there is."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.core

from serinus.cli.main import app
from serinus.rollout.yaml_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / "docs" / "gitlab-ci.example.yml"


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = read_yaml(file.read_text())
    # YAML 1.1 reads the key `on` as true.
    return {("on" if key is True else key): value for key, value in document.items()}


def workflow(name: str) -> dict[str, Any]:
    return read(ROOT / ".github" / "workflows" / f"{name}.yml")


def scripts(job: dict[str, Any]) -> str:
    return "\n".join(str(step.get("run", "")) for step in job["steps"])


def jobs() -> list[Any]:
    return [
        pytest.param(read(file), name, job, id=f"{file.stem}-{name}")
        for file in WORKFLOWS
        for name, job in read(file)["jobs"].items()
    ]


def test_there_are_the_three_workflows() -> None:
    assert [file.stem for file in WORKFLOWS] == ["ci", "preview", "release"]


@pytest.mark.parametrize(("document", "name", "job"), jobs())
def test_a_job_uses_pinned_actions_and_ends(document: dict[str, Any], name: str, job: dict[str, Any]) -> None:
    for step in job["steps"]:
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), (name, step)
    assert job["timeout-minutes"] <= 120
    assert document["on"].keys() <= {"pull_request", "push"}, "pull_request_target would give secrets to forks"


@pytest.mark.parametrize(("document", "name", "job"), jobs())
def test_a_job_with_secrets_never_runs_for_a_fork(document: dict[str, Any], name: str, job: dict[str, Any]) -> None:
    if "secrets." not in str(job):
        return
    assert "environment" in job, name
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert "pull_request" not in document["on"] or same in job["if"]


@pytest.mark.parametrize(("document", "name", "job"), jobs())
def test_a_job_that_may_write_runs_nothing_of_the_pull_request(
    document: dict[str, Any], name: str, job: dict[str, Any]
) -> None:
    permissions = {**document["permissions"], **job.get("permissions", {})}
    if "write" in permissions.values():
        assert name == "comment"
        assert "secrets." not in str(job)
        assert not any("checkout" in step.get("uses", "") for step in job["steps"])
        assert "serinus" not in scripts(job).replace("serinus plan", "")


@pytest.mark.parametrize(("document", "name", "job"), jobs())
def test_no_script_has_anything_of_the_event_pasted_in(
    document: dict[str, Any], name: str, job: dict[str, Any]
) -> None:
    # A title or a branch could hold shell; values come by the environment.
    assert "${{" not in scripts(job)


def test_what_is_previewed_is_what_is_released() -> None:
    previewed, released = workflow("preview")["on"]["pull_request"], workflow("release")["on"]["push"]
    assert previewed == released
    gitlab = [path.replace("/**/*", "/**") for path in read(GITLAB)[".what-a-release-is"]]
    assert gitlab == previewed["paths"]
    for path in previewed["paths"]:
        assert list(ROOT.glob(path.removesuffix("/**"))), path


def test_the_update_is_bound_to_the_plan_that_was_reviewed() -> None:
    assert "--save-plan plan.json" in scripts(workflow("preview")["jobs"]["plan"])
    script = scripts(workflow("release")["jobs"]["up"])
    assert "--plan reviewed/plan.json" in script
    # The evidence is looked at again, before.
    assert script.index("serinus plan") < script.index("pulumi up")
    assert ".head_repository.full_name == $repo" in script
    gitlab = "\n".join(read(GITLAB)["release"]["script"])
    assert gitlab.index("serinus plan") < gitlab.index("pulumi up")
    assert "--plan reviewed.json" in gitlab


def test_the_check_runs_what_anybody_runs() -> None:
    assert ".ci/run" in scripts(workflow("ci")["jobs"]["test"])
    assert "secrets." not in str(workflow("ci"))


def test_the_scripts_name_options_that_there_are() -> None:
    texts = [file.read_text() for file in [*WORKFLOWS, GITLAB]]
    calls = [line for text in texts for line in re.findall(r"\.venv/bin/serinus (.*)", text)]
    assert len(calls) == 4
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for call in calls:
        name, *words = shlex.split(re.split(r"[>|]", call)[0])
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_gitlab_gives_credentials_to_no_fork_and_the_token_to_no_program() -> None:
    document = read(GITLAB)
    same = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"
    for job in ("plan", "comment"):
        assert all(same in rule["if"] for rule in document[job]["rules"])
    environments = [
        job if isinstance(job := document[name]["environment"], str) else job["name"]
        for name in ("plan", "comment", "release")
    ]
    assert environments == ["preview", "comment", "production"]
    assert "serinus" not in "\n".join(document["comment"]["script"])


@pytest.mark.parametrize(
    ("schema", "file"),
    [*(("github-workflows", file) for file in WORKFLOWS), ("gitlab-ci", GITLAB)],
    ids=lambda one: one if isinstance(one, str) else one.stem,
)
def test_a_forge_understands_what_we_ship(schema: str, file: Path) -> None:
    """By the forges' published schemas, as the linter carries them: nothing is fetched."""
    linter = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [linter, "--builtin-schema", f"vendor.{schema}", file], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
