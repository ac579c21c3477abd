"""What an agent died over: the status says that it was done, and the ledger does not.

An agent writes the status first and the ledger after it, so that no record ever holds a deed up. Between the two it can
be killed. Its successor finds the difference here, and enters the deed as the dead one would have: with the same kind,
moment and person, so that a ledger that has it after all has it once.
"""

from collections.abc import Sequence

from serinus.rollout.deed import Deed, Kind
from serinus.rollout.ledger import Line
from serinus.rollout.share import EVERYTHING
from serinus.rollout.status import Status

_MOVES = (Kind.STEP, Kind.CUT, Kind.SWAP)
_LATE = "entered late, by an agent that took over"


def lost_move(lines: Sequence[Line], status: Status, stable: str, writer: str) -> Deed | None:
    """Return the move of the users that the ledger lacks, None where it has all that can be told.

    `lines` are the ledger's, oldest first; `stable` is the id of the stable release, `writer` is who wrote the weight.
    """
    last = next((line for line in reversed(lines) if line.what in _MOVES), None)
    old, began = last.new if last else 0, status.step_started_at
    if began is None or (last is not None and last.at >= began):
        return None
    if _went_back(lines, status, stable):
        reason = f"{stable} became the stable release again, after {status.canary}; {_LATE}"
        return Deed(
            Kind.SWAP, status.service, writer or "unknown", reason, began, stable, old, status.weight, status.verdict
        )
    if status.weight == old:
        return None
    if status.hold is not None and status.weight == 0:
        return None  # a cut, which stands in the ledger by its hold
    swapped = last is not None and (last.release, old, status.weight) == (stable, EVERYTHING, 0)
    kind, release = (Kind.SWAP, stable) if swapped else (Kind.STEP, status.canary)
    reason = f"from {old} % to {status.weight} %; {_LATE}"
    return Deed(kind, status.service, writer or "unknown", reason, began, release, old, status.weight, status.verdict)


def _went_back(lines: Sequence[Line], status: Status, stable: str) -> bool:
    """Tell whether the newest swap was undone: the release that it made the stable one is on trial again, at 0."""
    swapped = next((line.release for line in reversed(lines) if line.what is Kind.SWAP), "")
    return status.weight == 0 and swapped not in ("", stable) and swapped == status.canary
