"""What the status knows and the ledger does not is entered once, and never what the ledger has."""

from datetime import UTC, datetime, timedelta

import pytest

from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hold import Hold
from serinus.rollout.ledger import Line
from serinus.rollout.lost import lost_move
from serinus.rollout.status import Status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
V1, V2, V3 = "v1-5b1de7aa", "v2-0f3a9c21", "v3-77aa01be"


def line(kind: Kind, old: int, new: int, seconds: int = 0, release: str = V2) -> Line:
    at = NOW + timedelta(seconds=seconds)
    return Line.of(Deed(kind, "chat", "pulumi", "a test", at, release, old, new))


def status(weight: int, since: int | None = 10, canary: str = V2, hold: bool = False) -> Status:
    return Status(
        service="chat",
        canary=canary,
        weight=weight,
        verdict=None,
        step_started_at=None if since is None else NOW + timedelta(seconds=since),
        baked_seconds=0.0,
        hold=Hold(reason="errors", by="ada", since=NOW) if hold else None,
        allowed_weight=weight,
        observed_at=NOW + timedelta(seconds=20),
        observed_generation=1,
    )


FIVE = line(Kind.STEP, 0, 5)
TOP = line(Kind.STEP, 50, 100)
SWAP = line(Kind.SWAP, 100, 0, 6)


@pytest.mark.parametrize(
    ("lines", "now", "stable", "entered"),
    [
        ([FIVE], status(5), V1, None),
        ([FIVE], status(20), V1, (Kind.STEP, V2, 5, 20)),
        ([FIVE, line(Kind.APPROVED, 5, 5, 5)], status(20), V1, (Kind.STEP, V2, 5, 20)),
        ([], status(5), V1, (Kind.STEP, V2, 0, 5)),
        ([], status(0), V1, None),
        # The ledger is ahead of a status that is about to be written.
        ([FIVE, line(Kind.STEP, 5, 20, 11)], status(5), V1, None),
        ([FIVE], status(20, since=None), V1, None),
        # The last act of a swap: the status is at 0 already, and its step is still the one before.
        ([TOP], status(0, since=0), V1, None),
        ([TOP], status(0, canary=""), V2, (Kind.SWAP, V2, 100, 0)),
        ([TOP], status(0), V1, (Kind.STEP, V2, 100, 0)),
        # The way back: nobody's share moves, and what was stable is on trial again.
        ([TOP, SWAP], status(0), V1, (Kind.SWAP, V1, 0, 0)),
        ([TOP, SWAP], status(0, hold=True), V1, (Kind.SWAP, V1, 0, 0)),
        ([TOP, SWAP, line(Kind.STEP, 0, 20, 8, V3)], status(0), V1, (Kind.SWAP, V1, 20, 0)),
        ([TOP, SWAP, line(Kind.SWAP, 0, 0, 9, V1)], status(0), V1, None),
        # The agent that took over is not there yet; there is a new canary; the old one is tried again.
        ([TOP, SWAP], status(0, since=5), V1, None),
        ([TOP, SWAP], status(0, canary=V3), V2, None),
        ([TOP, SWAP, line(Kind.SWAP, 0, 0, 8, V1), line(Kind.STEP, 0, 5, 9)], status(20), V1, (Kind.STEP, V2, 5, 20)),
        # A cut that is held is entered by its hold.
        ([FIVE], status(0, hold=True), V1, None),
        ([FIVE, line(Kind.CUT, 5, 0, 9)], status(0, hold=True), V1, None),
    ],
)
def test_what_the_ledger_lacks(
    lines: list[Line], now: Status, stable: str, entered: tuple[Kind, str, int, int] | None
) -> None:
    found = lost_move(lines, now, stable, "pulumi")
    assert (None if found is None else (found.kind, found.release, found.old, found.new)) == entered
    assert found is None or (found.by, found.at) == ("pulumi", now.step_started_at)
