"""The picture of a rollout tells what matters at a glance, and people's words in it are only words."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from serinus.cli.status_table import Seen, table
from serinus.rollout.hold import Hold
from serinus.rollout.status import read_status
from serinus.rollout.violation import Violation
from tests.rollout.test_hand import NOW, SPEC, status


def drawn(age_seconds: float = 3, refused: list[Violation] | None = None, **changes: object) -> str:
    at = NOW + timedelta(seconds=age_seconds)
    return text_of(Seen(SPEC, read_status(status(**changes)), 50, refused or [], at))


def text_of(seen: Seen) -> str:
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(table(seen))
    return captured.get()


def test_it_shows_weights_verdict_counts_and_age() -> None:
    arm = {"requests": 500, "errors": 5, "slow": 0}
    text = drawn(canaryCounts=arm)
    for told in ("20 %, 3 s ago", "pass: as good", "500", "5 (1.0 %)", "The next rung, 50 %, is allowed."):
        assert told in text
    assert "too old" not in text


def test_it_shows_how_long_the_step_must_bake() -> None:
    assert "done (50 s)" in drawn()
    rungs = [rung.model_copy(update={"bake_seconds": 600}) for rung in SPEC.ladder]
    baking = SPEC.model_copy(update={"ladder": tuple(rungs)})
    assert "9 min 10 s left of 10 min 00 s" in text_of(Seen(baking, read_status(status()), 50, [], NOW))


def test_a_status_that_nobody_renews_is_called_old() -> None:
    assert "31 s ago, too old" in drawn(age_seconds=31)


@pytest.mark.parametrize("words", ["[red]look[/]", "[/]", "a [b] c"])
def test_peoples_words_are_shown_as_they_are(words: str) -> None:
    hold = Hold(reason=words, by="ada", since=NOW)
    refused = [Violation("held", f"the release is held: {words}", "Look.")]
    text = drawn(hold=hold.document(), refused=refused)
    assert f"{words} (by ada, 2026-11-21T12:00:00+00:00)" in text
    assert f"the release is held: {words} (held). Look." in text


def test_without_a_status_it_shows_what_is_declared() -> None:
    missing = read_status(None)
    assert isinstance(missing, Violation)
    text = text_of(Seen(SPEC, missing, 50, [missing], NOW))
    assert "v2-00000002" in text
    assert "is refused:" in text
    assert "status-missing" in text
