"""The agent on a real cluster: it cuts what breaks, holds what it cut, and does what it is told."""

from collections import Counter

import pytest

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
    told = watched.drill()
    assert told["cut"], told
    assert told["failed_answers"] > 0
    # The parts of the way from the fault to the last answer of the canary, none of them left out.
    assert all(told[f"{part}_s"] is not None for part in ("fault", "detect_and_decide", "cut", "seen", "total")), told
    watched.wait_for_the_cut()
    status = watched.status
    assert (status["verdict"], status["allowedWeight"], status["hold"]["by"]) == ("fail", 0, "serinus-agent")
    assert "the canary failed: errors" in status["hold"]["reason"]
    after = watched.project.client().ask_all([f"user-{number}" for number in range(40)], ["hello"], concurrency=4)
    assert Counter(answer.status for answer in after) == {200: 40}
    assert not any(answer.release.startswith("echo-drill") for answer in after)

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
