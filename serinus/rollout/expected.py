"""What a stack expects of its traffic: the figures by which a step is judged before it is taken."""

from pydantic import Field

from serinus.rollout.judge import Objective
from serinus.rollout.record import Record

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
