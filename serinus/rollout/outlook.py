"""What the next step can show, at the traffic that is expected: hours and requests, said before it is taken."""

import math
from dataclasses import dataclass

from serinus.rollout.feasibility import Traffic, check_bake, seconds_to_fail, seconds_to_pass
from serinus.rollout.judge import STANDARD
from serinus.rollout.ladder import Ladder
from serinus.rollout.plan import Feasibility, Need, Step
from serinus.rollout.status import Status

_OBJECTIVE = STANDARD.objectives["errors"]
USUAL = 0.01


@dataclass(frozen=True, slots=True)
class Expected:
    """What a person knows beforehand. Shares are of requests; None: take what the agent counted.

    worth_seeing: the canary's share of bad requests that the step must find.
    """

    per_second: float | None = None
    usual: float | None = None
    worth_seeing: float = _OBJECTIVE.limit


def outlook(expected: Expected, status: Status | None, step: Step | None, ladder: Ladder | str) -> Feasibility | str:
    """Return what the step can show, or why that is not said."""
    if step is None:
        return "there is no step"
    if not step.rises:
        return "the weight does not rise"
    if 1.0 - step.new / 100.0 < STANDARD.comparable:
        return f"at {step.new} % the stable has too few requests to compare with"
    counted = _counted_per_second(status)
    per_second = counted if expected.per_second is None else expected.per_second
    if per_second is None:
        return "the traffic is not known; say it with --requests-per-second"
    rung = ladder.last_rung(step.new) if isinstance(ladder, Ladder) else None
    bake = rung.bake_seconds if rung else 0
    traffic = Traffic(per_second, step.new, _usual(expected, status))
    worth = expected.worth_seeing
    return Feasibility(
        per_second=per_second,
        measured=expected.per_second is None,
        usual=traffic.usual,
        worth_seeing=worth,
        to_fail=_need(seconds_to_fail(STANDARD, _OBJECTIVE, traffic, worth), traffic),
        to_pass=_need(seconds_to_pass(STANDARD, _OBJECTIVE, traffic), traffic),
        bake_seconds=bake,
        warnings=tuple(map(str, check_bake(STANDARD, _OBJECTIVE, traffic, bake, worth))) if bake else (),
    )


def _counted_per_second(status: Status | None) -> float | None:
    if status is None or status.step_started_at is None:
        return None
    seconds = (status.observed_at - status.step_started_at).total_seconds()
    requests = status.canary_counts.requests + status.stable_counts.requests
    return requests / seconds if seconds > 0 and requests else None


def _usual(expected: Expected, status: Status | None) -> float:
    if expected.usual is not None:
        return expected.usual
    stable = status.stable_counts if status else None
    return stable.errors / stable.requests if stable and stable.requests else USUAL


def _need(seconds: float, traffic: Traffic) -> Need:
    if math.isinf(seconds):
        return Need(seconds=None, requests=None)
    return Need(seconds=round(seconds, 1), requests=math.ceil(seconds * traffic.canary(0.0).total))
