"""What a promoter does next: raise the weight, wait, ask a person, stop.

All that it looks at stands in the stack's file and in the cluster, and nothing in the promoter. So one that was killed,
at whatever moment, is replaced by starting another: the same facts lead to the same act.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serinus.rollout.hold import Override, waive
from serinus.rollout.status import Status
from serinus.rollout.step import Declared, check_step
from serinus.rollout.succession import Stable, backend_of, check_swap
from serinus.rollout.violation import Violation

# No time heals these: a person must do something first.
_HELD = {"held", "verdict-failed"}
_NEVER_ALLOWED = {"skipped-rung", "not-a-rung", "untested-stable", "previous-never-stable"}
# Beside what an override would have put aside it says that the override is over, and stands for nothing itself.
_REMARKS = {"override-ended"}
_AT_ONCE = Violation(
    "changed-and-raised",
    "the stack's file declares other releases or another ladder than the cluster has, and a higher weight at once",
    "Set the weight to what is served now, 0 for a new release; then `serinus promote` takes the rungs in order.",
)


class Kind(StrEnum):
    """What to do."""

    APPLY = "apply"  # bring the cluster to what is committed already
    RAISE = "raise"  # commit the next rung, then apply
    WAIT = "wait"  # look again later
    APPROVAL = "approval"  # a person must approve the rise
    HELD = "held"  # the release is held, or it failed
    REFUSED = "refused"  # what is committed will never be allowed
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a rollout stands. Weights are in percent.

    committed: the weight in the stack's file.
    applied: the weight in the CanaryRelease of the cluster.
    served: the share that the canary's Ingress sends.
    changed: the file declares other releases or another ladder than the cluster has.
    lacking: what the canary lacks for the next rung beside the rules, such as pods; time heals it.
    declared, status, override: what the live CanaryRelease says; `status` is what `read_status` returned.
    """

    committed: int
    applied: int
    served: int
    changed: bool
    declared: Declared
    status: Status | Violation
    override: Override | None = None
    lacking: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """The next act. `weight` is what it leads to; `because` says what stands between; `bake_left` is in seconds."""

    kind: Kind
    weight: int
    because: tuple[Violation, ...] = ()
    bake_left: float = 0.0

    @property
    def why(self) -> str:
        """What stands between, each thing once: a hold tells the verdict that led to it. Empty where nothing does."""
        said = list(dict.fromkeys(violation.sentence for violation in self.because))
        return "; ".join(one for one in said if not any(one != other and one in other for other in said))


def next_act(situation: Situation, goal: int, now: datetime) -> Act:
    """Decide. `goal` is the weight to end at; `now` has a time zone."""
    committed, served = situation.committed, situation.served
    if committed > served and situation.changed:
        return Act(Kind.REFUSED, committed, (_AT_ONCE,))
    if committed > served:
        return _rise(Kind.APPLY, situation, committed, now)
    # What lowers the weight, or leaves it, is never asked anything.
    if committed < served or situation.changed or committed != situation.applied:
        return Act(Kind.APPLY, committed)
    upper = situation.declared.ladder.next_rung(served)
    if upper is None or upper.weight > goal or not situation.declared.canary:
        return Act(Kind.DONE, served)
    return _rise(Kind.RAISE, situation, upper.weight, now)


def swap_act(situation: Situation, before: Stable, now: datetime) -> Act:
    """Decide about the swap: the stable Ingress, as it is in `before`, moves to the canary. `now` has a time zone."""
    declared = situation.declared
    after = Stable((backend_of(declared.service, declared.canary),), *before.backends[:1])
    found = check_swap(declared, situation.status, before, after, now)
    against = tuple(waive(found, situation.override, now).remaining)
    return Act(_kind(against) if against else Kind.APPLY, situation.served, against, bake_left(situation))


def bake_left(situation: Situation) -> float:
    """Return how many seconds the step at the served weight must still last."""
    rung = situation.declared.ladder.last_rung(situation.served)
    if rung is None or not isinstance(situation.status, Status):
        return 0.0
    return max(0.0, rung.bake_seconds - situation.status.baked_seconds)


def _rise(kind: Kind, situation: Situation, weight: int, now: datetime) -> Act:
    found = check_step(situation.declared, situation.status, situation.served, weight, now)
    against = (*waive(found, situation.override, now).remaining, *situation.lacking)
    left = bake_left(situation)
    return Act(_kind(against) if against else kind, weight, against, left)


def _kind(against: Sequence[Violation]) -> Kind:
    """The worst of what is against a rise: what no time heals, then what only time heals, then a person's yes."""
    codes = {violation.code for violation in against} - _REMARKS
    if codes & _HELD:
        return Kind.HELD
    if codes & _NEVER_ALLOWED:
        return Kind.REFUSED
    return Kind.APPROVAL if codes == {"approval-missing"} else Kind.WAIT
