"""What else takes a canary back on a real cluster: that nobody sees it any more, and that the day's money is spent."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.network import ENTER
from local.places import GATEWAY_METRICS_PORT, Network
from tests.cluster.agents import WEIGHT_ON_TRIAL, Watched
from tests.cluster.conftest import Project

FIRST = 5


@pytest.fixture(scope="module")
def watched(project: Project, network: Network) -> Watched:
    terms = {"prometheus": network.prometheus, "blindHoldSeconds": 1, "blindDecaySeconds": 5}
    # A word costs a thousandth, so the day's money is spent with ten of them.
    budget = {"perDay": 0.01, "outputPerMillion": 1000.0, "action": "rollback"}
    ladder = [{"weight": FIRST}, {"weight": WEIGHT_ON_TRIAL}, {"weight": 100}]
    made = Watched(project, terms, ladder=ladder, budget=budget, monitoring=True)
    made.declare()
    return made


@contextmanager
def unseen(network: Network) -> Iterator[None]:
    """Let no pod reach the gateway's counters. Users' requests go on."""
    target = ("--source", str(network.pods), "--destination", network.node)
    refuse = ("--protocol", "tcp", "--dport", str(GATEWAY_METRICS_PORT), "--jump", "REJECT")
    subprocess.run([*ENTER, "iptables", "--insert", "INPUT", *target, *refuse], check=True)
    try:
        yield
    finally:
        subprocess.run([*ENTER, "iptables", "--delete", "INPUT", *target, *refuse], check=True)


def test_a_canary_that_nobody_sees_any_more_is_held_and_goes_one_step_back(watched: Watched, network: Network) -> None:
    watched.rise_at_once()
    with unseen(network):
        watched.until(lambda: "hold" in watched.status)
        assert "blind" in watched.status["hold"]["reason"]
        watched.until(lambda: watched.weight == str(FIRST))
    # It went once: seen again it stays there, held, until a person has looked.
    watched.until(lambda: watched.status["weight"] == FIRST and watched.status["verdict"] == "insufficient")
    assert watched.weight == str(FIRST)
    assert "hold" in watched.status


def test_a_canary_that_has_spent_the_days_money_is_cut(watched: Watched) -> None:
    watched.resume()
    watched.rise_at_once()
    answers = watched.project.client().ask_all([f"user-{number}" for number in range(60)], ["hello"], concurrency=4)
    assert any(answer.release.startswith("echo-drill-") for answer in answers)
    watched.wait_for_the_cut()
    assert "budget" in watched.status["hold"]["reason"]
    assert watched.status["verdict"] != "fail"
