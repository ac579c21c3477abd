"""The agent on a real cluster: it cuts what breaks, holds what it cut, and does what it is told."""

from collections import Counter

import pytest

from local.traffic import background
from serinus.rollout.share import WEIGHT
from tests.cluster.agents import Watched, agents
from tests.cluster.conftest import Project


@pytest.fixture(scope="module")
def watched(project: Project) -> Watched:
    made = Watched(project)
    made.declare()
    return made


def test_a_canary_that_breaks_is_cut_by_itself_and_no_later_up_brings_it_back(watched: Watched) -> None:
    watched.rise()
    with background(watched.project.client(32), ["hello"], per_second=10) as load:
        watched.until(lambda: watched.status["canaryCounts"]["requests"] >= 5)
        watched.break_canary()
        watched.wait_for_the_cut()
    watched.break_canary(broken=False)
    status = watched.status
    assert (status["verdict"], status["allowedWeight"], status["hold"]["by"]) == ("fail", 0, "serinus-agent")
    assert "the canary failed: errors" in status["hold"]["reason"]
    after = watched.project.client().ask_all([f"user-{number}" for number in range(40)], ["hello"], concurrency=4)
    assert Counter(answer.status for answer in after) == {200: 40}
    assert not any(answer.release.startswith("echo-drill") for answer in after)
    assert load.answers

    # Bringing the number down is always allowed; raising it again is not, and nobody has to ask the agent.
    watched.project.up_at(0)
    assert watched.project.stack.set("weight", "20").ok
    refused = watched.project.stack.up()
    assert not refused.ok
    assert "the release is held" in refused.output
    assert watched.project.stack.set("weight", "0").ok


def test_a_new_agent_keeps_the_hold_and_undoes_what_undoes_the_cut(watched: Watched) -> None:
    before = watched.status["hold"]
    agents("delete", "pod", "--now")
    raised = watched.rescuer.patch(watched.ingress_path, {"metadata": {"annotations": {WEIGHT: "3"}}})
    assert raised.ok, raised.message
    watched.until(lambda: watched.weight == "0")
    assert watched.status["hold"] == before


def test_a_demand_cuts_a_healthy_canary(watched: Watched) -> None:
    watched.resume()
    watched.rise()
    assert watched.demand_rollback("it sings flat") == 202
    watched.wait_for_the_cut()
    assert watched.status["hold"]["reason"] == "it sings flat"
    assert watched.status["verdict"] != "fail"
