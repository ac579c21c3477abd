"""A guarded stack, driven as a person does: the rises that the cluster allows, and the ends that it lets through."""

import json

import pytest

from local import kubernetes
from local.places import Network
from tests.cluster.conftest import Project
from tests.cluster.guarded import serinus

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
# No bake: a test can't wait for one, and the rules of a bake have their own cases.
LADDER = [{"weight": 5}, {"weight": 20}, {"weight": 100, "approval": True}]


def observe(project: Project, verdict: str, *flags: str) -> None:
    """Write a status as an agent would that has just seen this."""
    where = ("-n", project.name, "--verdict", verdict, "--because", "a test says so")
    done = serinus("status", "set", *where, *flags)
    assert done.returncode == 0, done.stderr


def policies_of(project: Project) -> list[str]:
    found = json.loads(kubernetes.kubectl("get", "validatingadmissionpolicies", "-o", "json"))["items"]
    names = [one["metadata"]["name"] for one in found]
    return [name for name in names if name.endswith(f".chat.{project.name}.serinus.dev")]


@pytest.fixture(scope="module", autouse=True)
def _definition(network: Network) -> None:
    done = serinus("install-crd")
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def _guarded_at_rest(project: Project, _definition: None) -> None:
    declare(project)


def declare(project: Project, **changes: object) -> None:
    """Bring the stack to these settings, by default a guarded canary at 0 %, which is allowed from everywhere."""
    project.write_settings(**{"guard": True, "ladder": LADDER, "weight": 0, **changes})
    result = project.stack.up()
    assert result.ok, result.output


def test_a_canary_rises_by_pulumi_up_as_its_status_allows_it(project: Project) -> None:
    assert project.stack.set("weight", "5").ok
    for command in (project.stack.preview, project.stack.up):
        refused = command()
        assert not refused.ok
        assert "status-missing" in refused.output
    assert project.annotations()[WEIGHT] == "0"

    observe(project, "insufficient")
    project.up_at(5)
    # The rise itself is a new spec. Until somebody has observed it nothing rises further.
    assert project.stack.set("weight", "20").ok
    refused = project.stack.preview()
    assert "generation-not-observed" in refused.output
    observe(project, "pass", "--hold", "look first", "--by", "ada")
    refused = project.stack.preview()
    assert not refused.ok
    assert "the release is held: look first (held)" in refused.output
    observe(project, "pass")
    project.up_at(20)


def test_a_decrease_needs_no_passing_status(project: Project) -> None:
    observe(project, "insufficient")
    project.up_at(5)
    observe(project, "fail")
    project.up_at(0)


def test_all_users_move_only_to_the_canary_that_they_are_on_and_back(project: Project) -> None:
    steep = {"guard": True, "ladder": [{"weight": 100}]}
    swapped = {**steep, "stable": "echo-v2", "canary": "", "weight": 0, "previous": "echo-v1"}
    declare(project, **steep)
    project.write_settings(**swapped)
    refused = project.stack.up()
    assert not refused.ok
    assert "swap-too-early" in refused.output or "status-missing" in refused.output

    declare(project, **steep)
    observe(project, "insufficient")
    project.write_settings(**steep, weight=100)
    raised = project.stack.up()
    assert raised.ok, raised.output
    observe(project, "pass")
    project.write_settings(**swapped)
    done = project.stack.up()
    assert done.ok, done.output
    # Nobody has observed anything since: a way back asks for nothing.
    project.write_settings(**steep, stable="echo-v1", canary="echo-v2", weight=0, previous="")
    back = project.stack.up()
    assert back.ok, back.output


def test_the_guard_stays_while_the_canary_is_live_and_goes_when_it_rests(project: Project) -> None:
    observe(project, "insufficient")
    project.up_at(5)
    observe(project, "insufficient")
    assert project.stack.set("guard", "false").ok
    refused = project.stack.up()
    assert not refused.ok
    assert "the canary is live: declared 5 %" in refused.output
    assert len(policies_of(project)) == 7

    declare(project)
    observe(project, "insufficient")
    declare(project, guard=False)
    assert policies_of(project) == []
    assert kubernetes.kubectl("-n", project.name, "get", "canaryreleases", "-o", "name") == ""


def test_a_live_guarded_stack_can_be_destroyed_as_a_whole(project: Project) -> None:
    observe(project, "insufficient")
    project.up_at(5)
    observe(project, "pass")
    gone = project.stack.destroy()
    assert gone.ok, gone.output
    assert policies_of(project) == []
    assert project.stack.resources() == []
    assert f"namespace/{project.name}" not in kubernetes.kubectl("get", "namespaces", "-o", "name").split()
