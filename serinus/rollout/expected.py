"""What a stack expects of its traffic: the figures by which a step is judged before it is taken."""

from pydantic import Field

from serinus.rollout.feasibility import Traffic, check_bake
from serinus.rollout.judge import STANDARD, Objective
from serinus.rollout.ladder import Ladder
from serinus.rollout.record import Record
from serinus.rollout.violation import Violation

_A_SHARE = "a number from 0 to 1"


class Expected(Record):
    """Requests per second on both releases together, and what a step must be able to show. Shares are of requests."""

    requests_per_second: float = Field(ge=0.001, le=1e6, description="a number from 0.001 to 1000000")
    smallest_regression: float = Field(
        default=Objective().limit, ge=0, le=1, description=f"the canary's share of bad requests to find, {_A_SHARE}"
    )
    usual: float = Field(default=0.01, ge=0, le=1, description=f"the stable's usual share of bad requests, {_A_SHARE}")
    per_replica: float | None = Field(
        default=None, ge=0.001, le=1e6, description="requests per second that one pod can carry, 0.001 to 1000000"
    )


def unseen(expected: Expected, ladder: Ladder, weight: int) -> list[Violation]:
    """Return why a bake at `weight` percent can't show what it is meant to show; an empty list says that it can.

    A step without a bake time is not meant to show anything, and at the top there is nothing to compare with.
    """
    rung = ladder.last_rung(weight)
    bake = rung.bake_seconds if rung else 0
    if not bake or 1.0 - weight / 100.0 < STANDARD.comparable:
        return []
    traffic = Traffic(expected.requests_per_second, weight, expected.usual)
    found = check_bake(STANDARD, STANDARD.objectives["errors"], traffic, bake, expected.smallest_regression)
    # That a healthy canary takes longer than the bake costs time, and no user.
    return [one for one in found if one.code == "evidence-infeasible"]
