"""How many pods each release runs: the canary what its share asks for, the stable what a rollback needs at once.

The canary is sized for the rung above the one it is at. So its pods start while the present step bakes, and a rise
waits for no model that loads. The stable release, and the one before it as long as the way back is open, keep the pods
for everybody: whoever is rolled back needs an answer now.
"""

import math

from pydantic import Field

from serinus.rollout.expected import Expected
from serinus.rollout.feasibility import check_headroom
from serinus.rollout.ladder import Ladder
from serinus.rollout.record import Record
from serinus.rollout.share import EVERYTHING
from serinus.rollout.violation import Violation

MOST_PODS = 1000
SCALED_NOTE = "serinus.dev/scaled"
"""The annotation of a Deployment whose number of pods is not the stack's to set once it runs."""


class Autoscale(Record):
    """Pods beyond those that a share asks for, by how busy they are."""

    most: int = Field(ge=1, le=MOST_PODS, description="pods of one release at the most, an integer from 1 to 1000")
    cpu_percent: int = Field(
        default=70, ge=1, le=100, description="percent of the CPU that a pod requests, an integer from 1 to 100"
    )


class Capacity(Record):
    """The pods of a service. `pods` can carry all of its traffic."""

    pods: int = Field(ge=1, le=MOST_PODS, description="pods that carry all of the traffic, an integer from 1 to 1000")
    room: int | None = Field(
        default=None, ge=1, le=2 * MOST_PODS, description="pods of the service that the cluster has room for, 1 to 2000"
    )
    autoscale: Autoscale | None = Field(default=None, description="a mapping with most and cpuPercent, or nothing")


def share_pods(capacity: Capacity, share: int) -> int:
    """Return the pods for a share of the traffic in percent; a release that runs has one at least."""
    return max(1, math.ceil(capacity.pods * share / EVERYTHING))


def canary_pods(capacity: Capacity, ladder: Ladder, weight: int) -> int:
    """Return the pods of a canary at `weight` percent: enough for the rung above it."""
    above = ladder.next_rung(weight)
    return share_pods(capacity, above.weight if above else EVERYTHING)


def check_capacity(capacity: Capacity, ladder: Ladder, expected: Expected | None, kept: int) -> list[Violation]:
    """Check that a whole rollout up the ladder can be carried; an empty list says that it can.

    `kept` are the releases beside the canary and the stable that keep all their pods, such as one before a swap.
    """
    found = []
    most = capacity.autoscale.most if capacity.autoscale else capacity.pods
    if most < capacity.pods:
        found.append(
            Violation(
                "autoscale-too-low",
                f"autoscale.most is {most}, fewer than the {capacity.pods} pods that carry everything",
                f"Set autoscale.most to {capacity.pods} or more.",
            )
        )
    top = max(canary_pods(capacity, ladder, weight) for weight in (0, *ladder.weights))
    asked = capacity.pods * (1 + kept) + top
    if capacity.room is not None and asked > capacity.room:
        found.append(
            Violation(
                "no-room",
                f"at 100 % the canary needs {top} pods beside {capacity.pods * (1 + kept)} that a rollback needs, "
                f"{asked} in all, and there is room for {capacity.room}",
                "Make room, set pods lower, or let the release before go with `serinus promote --retire` first.",
            )
        )
    if expected is not None and expected.per_replica is not None:
        carried = capacity.pods * expected.per_replica
        found += check_headroom(EVERYTHING, expected.requests_per_second, carried, carried)[-1:]
    return found


def check_pods(capacity: Capacity, rung: int, ready: int) -> list[Violation]:
    """Check that the canary has the pods for a rise to `rung` percent; `ready` is how many can answer now."""
    needed = share_pods(capacity, rung)
    if ready >= needed:
        return []
    return [
        Violation(
            "pods-not-ready",
            f"at {rung} % the canary needs {needed} pods, and {ready} are ready",
            "Wait until they have loaded the model; `kubectl get pods` says what keeps them.",
        )
    ]
