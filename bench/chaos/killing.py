"""Agents that die on the way: between any two steps of a cut, and as soon as the canary breaks; and an API server away.

The agent is killed once each step of a cut is seen done, and before the first one. What is seen is a moment late: how
far the dead had really come is counted.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.chaos.stage import DEMAND, Scenario, Stage, soon
from bench.load import Load
from local.places import API_PORT
from tests.cluster.agents import WEIGHT_ON_TRIAL

API_AWAY_SECONDS = 60.0


def killed(reached: Callable[[Stage, int], bool]) -> Callable[[Stage, Load], None]:
    """Kill every replica of the agent as soon as its cut has come so far; given are the ledger's cuts from before."""

    def play(stage: Stage, load: Load) -> None:
        before, doomed = len(stage.cuts()), stage.replicas.doomed()
        with ThreadPoolExecutor(max_workers=1) as pool:
            sent = pool.submit(stage.replicas.post, "/v1/rollback", DEMAND)
            soon(lambda: reached(stage, before))
            doomed.kill()
            stage.killed[_come(stage, before)] += 1
            doomed.replace()
            taken = sent.result() == 202
        stage.replicas.wait_until_ready(1)
        # A demand that was taken is done, whoever dies. One that was not is sent again, as Alertmanager does.
        if not taken:
            stage.demand()

    return play


def _at_some_moment(stage: Stage, _: int) -> bool:
    time.sleep(stage.chance.uniform(0.0, 0.04))
    return True


def _cut(stage: Stage, _: int) -> bool:
    return stage.watched.weight == "0"


def _held(stage: Stage, _: int) -> bool:
    return "hold" in stage.watched.status


def _entered(stage: Stage, before: int) -> bool:
    return len(stage.cuts()) > before


def _come(stage: Stage, before: int) -> str:
    """How far a cut has come."""
    steps = {"entered": _entered, "held": _held, "cut": _cut}
    return next((step for step, done in steps.items() if done(stage, before)), "nothing done")


def all_killed_when_the_canary_breaks(stage: Stage, load: Load) -> None:
    doomed = stage.replicas.doomed()
    stage.break_under(load)
    time.sleep(stage.chance.uniform(0.0, 2.0))
    doomed.kill()
    doomed.replace()


def api_server_away(stage: Stage, load: Load) -> None:
    with stage.replicas.cut_off_from(API_PORT):
        stage.break_under(load)
        time.sleep(API_AWAY_SECONDS)
        assert stage.watched.weight == str(WEIGHT_ON_TRIAL), "who reached the API server through the filter?"


SCENARIOS = (
    Scenario("killed at some moment after a demand", killed(_at_some_moment), times=8),
    Scenario("killed once it has cut", killed(_cut), times=6),
    Scenario("killed once it has written the hold", killed(_held), times=3),
    Scenario("killed once the ledger has the entry", killed(_entered), times=3),
    Scenario("both replicas are killed when the canary breaks", all_killed_when_the_canary_breaks, breaks=True),
    Scenario("the API server is away for 60 s", api_server_away, breaks=True),
)
