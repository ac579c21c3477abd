"""Plays a scenario and looks at its end where it counts: the same end, whatever went wrong."""

import time

from bench.chaos.odd_prometheus import WELL
from bench.chaos.stage import Scenario, Stage
from bench.load import Load, sending
from bench.trial import resume
from serinus.rollout.cut import holds

REPLICAS = 2
_SECONDS = 120.0


def play(scenario: Scenario, stage: Stage) -> None:
    """Play it once under load, look at its end, and make all ready for the next. AssertionError: a wrong end."""
    before = len(stage.cuts())
    if scenario.at:
        stage.watched.rise_at_once()
    try:
        with sending(stage.project.client(32), "echo-drill") as load:
            scenario.play(stage, load)
            stage.watched.wait_for_the_cut()
            _nobody_reaches_the_canary(stage)
        _the_cut_is_owned(stage)
        _it_is_written_down_once(stage, before)
        if not scenario.breaks:
            _nobody_noticed(load)
    finally:
        stage.prometheus.mode = WELL
        stage.replicas.wait_until_ready(REPLICAS)
        stage.watched.break_canary(broken=False)
        if "hold" in stage.watched.status:
            resume(stage.watched)


class LostError(AssertionError):
    """Something is gone: `count` answers to users, or entries of the ledger."""

    def __init__(self, count: int, told: str) -> None:
        super().__init__(told)
        self.count = count


def _nobody_noticed(load: Load) -> None:
    failed = [answer for _, _, answer in load.answers if answer.failed]
    if failed:
        raise LostError(len(failed), f"{len(failed)} of {len(load.answers)} requests failed: {failed[0]}")


def _nobody_reaches_the_canary(stage: Stage) -> None:
    # What was under way when the gateway turned may still come in.
    time.sleep(1.0)
    before = stage.on_the_canary()
    time.sleep(2.0)
    after = stage.on_the_canary()
    assert before == after, f"the gateway sent {after - before:.0f} more requests to the canary"


def _the_cut_is_owned(stage: Stage) -> None:
    metadata = stage.watched.api.get(stage.watched.ingress_path).document["metadata"]
    assert holds(metadata["managedFields"], metadata["annotations"]), metadata


def _it_is_written_down_once(stage: Stage, before: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while len(stage.cuts()) == before:
        if time.monotonic() > deadline:
            raise LostError(1, f"the cut is in no ledger: {stage.watched.status}")
        time.sleep(0.2)
    assert len(stage.cuts()) == before + 1, stage.cuts()[before:]
