"""Wrong settings: an error that names key, value and what is allowed, from the real engine, with nothing changed."""

import json

import pytest
import yaml

from local import kubernetes
from serinus.cli.stack import Result
from tests.cluster.conftest import Project

RELEASE = {"name": "odd", "image": "localhost/serinus-serving:local", "engine": "echo"}


# One run names every mistake. tests/stack/test_settings.py has each of them alone.
@pytest.mark.parametrize(
    ("command", "changes", "words"),
    [
        (
            "up",
            {"weight": 101, "canary": "v99", "context": "nowhere", "wieght": 5},
            [
                *("serinus:weight", "101", "0 to 100", "serinus:canary", "v99", "echo-v1"),
                *("serinus:context", "nowhere", "serinus-local", "serinus:wieght"),
            ],
        ),
        (
            "up",
            {"weight": "5%", "kubeconfig": "no/such/file"},
            ["serinus:weight", "5%", "integer", "serinus:kubeconfig", "no/such/file"],
        ),
        ("up", {"canary": None, "weight": 5}, ["serinus:weight", "canary"]),
        ("preview", {"weight": -1}, ["serinus:weight", "-1", "0 to 100"]),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    project: Project, command: str, changes: dict[str, object], words: list[str]
) -> None:
    project.write_settings(**changes)
    _refused(project, getattr(project.stack, command)(), words)


def test_a_wrong_release_is_refused_by_file_and_key(project: Project) -> None:
    wrong = {**RELEASE, "sampling": {"max_token": 4}, "replicas": "two", "engine": "magic"}
    (project.folder / "releases" / "odd.yaml").write_text(yaml.safe_dump(wrong))
    project.write_settings(canary="odd")
    told = ["odd.yaml", "max_token", "replicas", "two", "engine", "magic", "echo"]
    _refused(project, project.stack.up(), told)


def _refused(project: Project, result: Result, words: list[str]) -> None:
    assert not result.ok
    assert [word for word in words if word not in result.output] == []
    assert "Traceback" not in result.output
    namespaces = json.loads(kubernetes.kubectl("get", "namespaces", "-o", "json"))["items"]
    assert project.name not in {namespace["metadata"]["name"] for namespace in namespaces}
