"""The promise of the project: `pulumi up` with a changed weight moves that share of the users, and loses no request.

And what must be refused, by preview and by up, with nothing changed. Each test finds the canary at 5 % and leaves
it so, by way of decreases, which may never be refused.
"""

from collections import Counter

import pytest

from local import kubernetes
from local.traffic import background
from tests.cluster.conftest import Project

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
USERS = [f"user-{number:04d}" for number in range(1000)]


@pytest.fixture(scope="module", autouse=True)
def _at_five(project: Project) -> None:
    project.up_at(5)


@pytest.mark.parametrize("weight", [20, 50, 100, 0, 5])
def test_the_observed_share_is_the_weight(project: Project, weight: int) -> None:
    project.up_at(weight)
    answers = project.client().ask_all(USERS, ["hello"], concurrency=8)
    assert [answer for answer in answers if answer.failed] == []
    share = 100 * sum(answer.release.startswith("echo-v2-") for answer in answers) / len(answers)
    assert abs(share - weight) <= 0.5


def test_an_answer_tells_its_release(project: Project) -> None:
    answers = project.client().ask_all(USERS[:200], ["hello"], concurrency=4)
    texts = {answer.release: answer.text for answer in answers}
    assert sorted(release.rpartition("-")[0] for release in texts) == ["echo-v1", "echo-v2"]
    assert len(set(texts.values())) == 2


def test_no_request_fails_while_the_weight_moves_under_load(project: Project) -> None:
    with background(project.client(32), ["hello"], per_second=20) as load:
        for weight in (20, 50, 100, 0, 5):
            project.up_at(weight)
    assert Counter(answer.status for answer in load.answers) == {200: len(load.answers)}
    assert len(load.answers) > 200


@pytest.mark.parametrize(("command", "weight"), [("preview", 50), ("preview", 6), ("up", 80), ("up", 100)])
def test_a_jump_is_refused_and_nothing_changes(project: Project, command: str, weight: int) -> None:
    before = project.annotations()
    assert project.stack.set("weight", str(weight)).ok
    result = getattr(project.stack, command)()
    assert project.stack.set("weight", "5").ok
    assert not result.ok
    told = " ".join(result.lines_about("weight-ladder", "5 %", "from 5"))
    assert "weight-ladder" in told
    assert f"{weight}" in result.output
    assert "20" in result.output
    assert project.annotations() == before


def test_a_changed_weight_is_one_annotation_and_restarts_nothing(project: Project) -> None:
    before, pods = project.annotations(), _pods(project)
    project.up_at(20)
    after = project.annotations()
    assert {key for key in {*before, *after} if before.get(key) != after.get(key)} == {WEIGHT}
    assert _pods(project) == pods
    project.up_at(5)


def _pods(project: Project) -> str:
    """Name, uid and restarts of every pod."""
    columns = "N:.metadata.name,U:.metadata.uid,R:.status.containerStatuses[0].restartCount"
    return kubernetes.kubectl(
        "-n", project.name, "get", "pods", "-o", f"custom-columns={columns}", "--sort-by=.metadata.name"
    )
