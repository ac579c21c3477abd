"""Wrong settings: an error that names key, value and what is allowed, from the real engine, with nothing changed."""

import json

import pytest
import yaml

from local import kubernetes
from serinus.cli.stack import Result
from tests.cluster.conftest import Project

RELEASE = {"name": "odd", "image": "localhost/serinus-serving:local", "engine": "echo"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": 101}, ["serinus:weight", "101", "0 to 100"]),
        ({"weight": -1}, ["serinus:weight", "-1", "0 to 100"]),
        ({"weight": "5%"}, ["serinus:weight", "5%", "integer"]),
        ({"weight": "many"}, ["serinus:weight", "many", "integer"]),
        ({"canary": "v99"}, ["serinus:canary", "v99", "echo-v1"]),
        ({"context": "nowhere"}, ["serinus:context", "nowhere", "serinus-local"]),
        ({"kubeconfig": "no/such/file"}, ["serinus:kubeconfig", "no/such/file"]),
        ({"wieght": 5}, ["serinus:wieght", "weight"]),
        ({"canary": None, "weight": 5}, ["serinus:weight", "canary"]),
    ],
)
def test_a_wrong_setting_is_refused_by_name(project: Project, changes: dict[str, object], words: list[str]) -> None:
    project.write_settings(**changes)
    _refused(project, project.stack.up(), words)


def test_a_preview_refuses_it_too(project: Project) -> None:
    project.write_settings(weight=101)
    _refused(project, project.stack.preview(), ["serinus:weight", "101", "0 to 100"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**RELEASE, "sampling": {"max_token": 4}}, ["odd.yaml", "max_token"]),
        ({**RELEASE, "replicas": "two"}, ["odd.yaml", "replicas", "two"]),
        ({**RELEASE, "engine": "magic"}, ["odd.yaml", "engine", "magic", "echo"]),
    ],
)
def test_a_wrong_release_is_refused_by_file_and_key(
    project: Project, content: dict[str, object], words: list[str]
) -> None:
    (project.folder / "releases" / "odd.yaml").write_text(yaml.safe_dump(content))
    project.write_settings(canary="odd")
    _refused(project, project.stack.up(), words)


def _refused(project: Project, result: Result, words: list[str]) -> None:
    assert not result.ok
    assert [word for word in words if word not in result.output] == []
    assert "Traceback" not in result.output
    namespaces = json.loads(kubernetes.kubectl("get", "namespaces", "-o", "json"))["items"]
    assert project.name not in {namespace["metadata"]["name"] for namespace in namespaces}
