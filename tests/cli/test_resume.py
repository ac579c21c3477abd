"""A resume ends the hold that somebody looked at, and no other."""

import pytest

from serinus.cli.resume import ending
from serinus.rollout.hand import HandError
from serinus.rollout.hold import Hold
from tests.rollout.test_hand import HOLD, NOW, SPEC, status


def test_the_hold_that_was_looked_at_ends() -> None:
    assert "hold" not in ending(HOLD.document(), NOW)(SPEC, 3, status(hold=HOLD.document()))


def test_a_hold_that_came_meanwhile_stays() -> None:
    newer = Hold(reason="the canary failed again", by="serinus-agent", since=NOW).document()
    with pytest.raises(HandError, match="chat is held anew"):
        ending(HOLD.document(), NOW)(SPEC, 3, status(hold=newer))
