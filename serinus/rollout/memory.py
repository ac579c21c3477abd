"""What the agent remembers of a service, how patient it is with one, and what it decides: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from serinus.rollout.bill import Paid
from serinus.rollout.deed import Deed
from serinus.rollout.hearing import Hearing
from serinus.rollout.status import Status

AGENT = "serinus-agent"
LOST = "the canary was found cut, and why was not written down"


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient the agent is.

    blind_hold: how long a live canary may go unseen before it is held; None never holds it for that.
    blind_decay: how long before it goes back to the step before, once; None never does that. It is held then, too.
    orphan: how long a cut may stand without a hold: a person's rollback writes the one after the other.
    refresh: how old a status may become that says nothing new.
    settle: how long the gateway may take to follow a cut.
    swap: how long the declaration of a swap may come after its last change of an Ingress.
    """

    blind_hold: timedelta | None = timedelta(minutes=2)
    blind_decay: timedelta | None = None
    orphan: timedelta = timedelta(seconds=5)
    refresh: timedelta = timedelta(seconds=5)
    settle: timedelta = timedelta(seconds=2)
    swap: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a release is to be held, kept until its status says so. `cuts`: its traffic goes to zero first."""

    reason: str
    by: str
    at: datetime
    cuts: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The step that the gateway is at. `baked` are seconds that an earlier agent counted, `stable` is beside it."""

    canary: str
    weight: int
    since: datetime
    baked: float
    stable: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What the agent remembers of one service from look to look."""

    hearing: Hearing | None = None
    step: Step | None = None
    cause: Cause | None = None
    held: bool = False
    orphan_since: datetime | None = None
    blind_since: datetime | None = None
    cut_at: datetime | None = None
    fallen_since: datetime | None = None
    paid: Paid | None = None

    @property
    def heard_so_far(self) -> Hearing:
        """What was heard; `decide` begins every hearing."""
        if self.hearing is None:
            raise RuntimeError("nothing was heard yet: `decide` begins every hearing")
        return self.hearing


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. `cut` comes first, `status` after it, `deeds` once the status is written; then `memory` counts.

    lower: annotations that bring the canary's share down to the step before; None where it stays.
    """

    memory: Memory
    cut: bool
    lower: Mapping[str, str] | None
    status: Status
    due: bool
    deeds: tuple[Deed, ...] = ()
