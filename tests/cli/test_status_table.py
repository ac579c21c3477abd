"""The picture of a rollout tells what matters at a glance, and people's words in it are only words."""

import io
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from serinus.cli.status_table import Seen, framed, table
from serinus.rollout.hold import Hold, Override
from serinus.rollout.status import read_status
from serinus.rollout.violation import Violation
from tests.rollout.test_hand import NOW, SPEC, status


def drawn(age_seconds: float = 3, refused: list[Violation] | None = None, **changes: object) -> str:
    at = NOW + timedelta(seconds=age_seconds)
    return text_of(Seen(SPEC, read_status(status(**changes)), 50, refused or [], at))


def text_of(seen: Seen, width: int = 120) -> str:
    return drawn_by(table(seen), width)


def drawn_by(picture: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(picture)
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
    assert f"{words} (by ada, 2026-11-21 12:00:00 UTC)" in text
    assert f"the release is held: {words} (held). Look." in text


def test_without_a_status_it_shows_what_is_declared() -> None:
    missing = read_status(None)
    assert isinstance(missing, Violation)
    text = text_of(Seen(SPEC, missing, 50, [missing], NOW))
    assert "v2-00000002" in text
    assert "is refused:" in text
    assert "status-missing" in text


def test_it_names_who_overrides_what_until_when() -> None:
    override = Override(by="ada", reason="a fix [b] that can't wait", until=NOW + timedelta(hours=1))
    spec = SPEC.model_copy(update={"override": override})
    aside = Violation("bake-not-over", "it has not baked", "Wait.")
    text = text_of(Seen(spec, read_status(status()), 50, [], NOW, (aside,)))
    assert "ada until 2026-11-21 13:00 UTC: a fix [b] that can't wait" in text
    assert "is allowed. The override puts aside: bake-not-over." in text
    assert "It is over." not in text
    assert "It is over." in text_of(Seen(spec, read_status(status()), 50, [], NOW + timedelta(hours=1)))


@pytest.mark.parametrize(
    ("bill", "told"),
    [
        ({}, "not known of 1,000.00 today"),
        ({"spent": 20.5}, "20.50 of 1,000.00 today; not counted now"),
        (
            {"spent": 20.5, "perHour": 1, "forecast": 44, "forecastAtNext": 1234.5},
            "20.50 of 1,000.00 today; by midnight UTC 44.00, at 50 % 1,234.50",
        ),
        ({"spent": 2000, "perHour": 1, "forecast": 2044}, "2,000.00 of 1,000.00 today; by midnight UTC 2,044.00"),
    ],
)
def test_it_shows_the_budget_and_how_the_day_ends(bill: dict[str, object], told: str) -> None:
    text = drawn(budget={"at": NOW.isoformat(), "perDay": 1000, **bill})
    assert told in " ".join(text.split())


def test_what_the_agent_alone_knows_is_told() -> None:
    refused = [Violation("above-allowed-weight", "the agent allows 20 now", "Read the reasons.")]
    assert "The agent says: the budget is spent." in drawn(refused=refused, reasons=["the budget is spent"])


def test_it_fits_into_80_columns_and_loses_no_word() -> None:
    reason = "the canary failed: errors, " + "and a long story of how it came about " * 4
    held = Violation("held", f"the release is held: {reason}", "Look at the evidence, then resume it.")
    hold = Hold(reason=reason, by="ada", since=NOW)
    bill = {"at": NOW.isoformat(), "perDay": 1e9, "spent": 1e8, "perHour": 1, "forecast": 1e9, "forecastAtNext": 1e10}
    override = Override(by="ada", reason="a fix that can not wait for the day after", until=NOW + timedelta(hours=1))
    spec = SPEC.model_copy(update={"override": override})
    seen = Seen(spec, read_status(status(hold=hold.document(), budget=bill)), 50, [held], NOW)
    assert "chat in shop" in drawn_by(framed(seen, "shop"), width=80)
    text = text_of(seen, width=80)
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    assert words.count("came") == 8
    assert "10,000,000,000.00" in words


def test_as_json_it_says_what_is_refused_and_what_is_put_aside() -> None:
    held, aside = Violation("held", "it is held", "Look."), Violation("bake-not-over", "it bakes", "Wait.")
    found = Seen(SPEC, read_status(status()), 50, [held], NOW, (aside,)).document()
    assert list(found) == ["spec", "status", "next", "refused", "waived"]
    assert found["refused"] == [{"code": "held", "sentence": "it is held", "remedy": "Look."}]
    assert found["waived"][0]["code"] == "bake-not-over"
