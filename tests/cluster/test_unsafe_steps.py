"""What must be refused, by preview and by up, with nothing changed; and what never may be refused."""

import pytest

from tests.cluster.conftest import Project

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


@pytest.fixture(scope="module", autouse=True)
def _at_five(project: Project) -> None:
    project.up_at(5)


@pytest.mark.parametrize("command", ["preview", "up"])
@pytest.mark.parametrize("weight", [50, 80, 100, 6])
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


def test_a_decrease_is_never_refused(project: Project) -> None:
    project.up_at(20)
    project.up_at(50)
    project.up_at(0)
    assert project.annotations()[WEIGHT] == "0"
    project.up_at(5)
