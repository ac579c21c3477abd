"""Where the labels of a chart's decisions stand, so that none lies upon another.

Decisions may come within seconds of each other in a rollout of hours. Those that have no room for a label of their own
share one, such as `3-7 pass`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_ROWS = 2
# Of a bold sign on average, and between two labels.
_SIGN, _GAP = 6.4, 5.0


class Decision(NamedTuple):
    """A decision at its place on the paper, by its number in the ledger."""

    x: float
    number: int
    verdict: str


class Label(NamedTuple):
    """One label: the middle of it, its row from above, its text, and the decisions that it stands for."""

    x: float
    row: int
    text: str
    decisions: Sequence[Decision]


def labels(decisions: Sequence[Decision], width: float) -> list[Label]:
    """Lay out the labels of these decisions, from left to right, on paper of this width."""
    groups = [[one] for one in sorted(decisions)]
    while True:
        placed, crowded = _placed(groups, width)
        if crowded is None:
            return placed
        # Of the two neighbours that are nearest among those that stand in the way.
        start = max(crowded - _ROWS, 0)
        nearest = min(pairwise(range(start, crowded + 1)), key=lambda two: groups[two[1]][0].x - groups[two[0]][-1].x)
        groups[nearest[0] : nearest[1] + 1] = [groups[nearest[0]] + groups[nearest[1]]]


def _placed(groups: Sequence[Sequence[Decision]], width: float) -> tuple[list[Label], int | None]:
    """Place each group in the first row with room for it; return what was placed, and which group found none."""
    found: list[Label] = []
    taken = [0.0] * _ROWS
    for place, group in enumerate(groups):
        text = _text(group)
        half = _SIGN * len(text) / 2
        middle = min(max((group[0].x + group[-1].x) / 2, half), width - half)
        row = next((row for row, end in enumerate(taken) if middle - half >= end), None)
        if row is None:
            return found, place
        taken[row] = middle + half + _GAP
        found.append(Label(middle, row, text, group))
    return found, None


def _text(group: Sequence[Decision]) -> str:
    numbers = [one.number for one in group]
    told = str(numbers[0]) if len(numbers) == 1 else f"{min(numbers)}-{max(numbers)}"
    verdict = next((one.verdict for one in reversed(group) if one.verdict), "")
    return f"{told} {verdict}".strip()
