"""What a person and a script see of a promoter."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from serinus.cli.promote.cluster import Seen
from serinus.cli.promote.engine import Update
from serinus.cli.promote.outcome import MEANING, Exit, Outcome
from serinus.cli.promote.show import Json, Lines, Picture, picture
from serinus.rollout.canary_release import Spec, StoredRung
from serinus.rollout.promotion import next_act
from serinus.rollout.status import read_status
from serinus.rollout.succession import Stable
from tests.rollout.step_cases import HOLD, LADDER
from tests.rollout.test_promotion import at, now

SPEC = Spec(
    service="chat",
    host="chat.example.com",
    stable="v1-00000001",
    canary="v2-0f3a9c21",
    weight=5,
    ladder=tuple(StoredRung.model_validate(rung) for rung in LADDER["rungs"]),
)
BAKING = Seen(at(5, {"bakedSeconds": 10}), SPEC, Stable(("chat-v1",)), None)
BLIND = replace(BAKING, situation=replace(at(5), status=read_status(None)))


def drawn(seen: Seen) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(picture(seen, next_act(seen.situation, 100, now)))
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def test_the_picture_has_the_ladder_the_bake_the_counts_and_the_next_gate() -> None:
    text = drawn(BAKING)
    for part in ("● 5 %", "○ 20 %", "✋ 100 %", "9 min 50 s left", "500 requests, 0 errors, 17 slow", "20 %, after:"):
        assert part in text
    assert "no worse than stable" in text


def test_a_picture_is_drawn_without_a_status_too() -> None:
    assert "has no status" in drawn(BLIND)


def test_a_line_is_printed_when_something_changes_and_not_at_each_look(capsys: pytest.CaptureFixture[str]) -> None:
    show = Lines()
    for baked in (10, 11, 12):
        seen = replace(BAKING, situation=at(5, {"bakedSeconds": baked}))
        show.state(seen, next_act(seen.situation, 100, now))
    show.state(BLIND, next_act(BLIND.situation, 100, now))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("5 %: 9 min 50 s of the bake left; the step at 5 has baked 10")
    assert "has no status" in second


def test_a_script_reads_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show = Json()
    show.state(BAKING, next_act(BAKING.situation, 100, now))
    show.update("weight 20 %")
    show.updated("weight 20 %", Update(ok=False, said=("refused\nhere",), seconds=3.0))
    show.updated("weight 20 %", None)
    show.end(Outcome(Exit.HELD, "stopped", "look"))
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in said] == ["waiting", "update", "updated", "interrupted", "end"]
    assert (said[0]["weight"], said[0]["next"], said[0]["bakeLeft"]) == (5, 20, 590.0)
    assert said[0]["canary"] == {"requests": 500, "errors": 0, "slow": 17}
    assert (said[-1]["exit"], said[-1]["remedy"]) == (3, "look")


def test_the_moving_picture_leaves_the_lines_of_what_was_done() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    held = replace(BAKING, situation=at(5, {"hold": HOLD}))
    with Picture(console) as show:
        show.state(held, next_act(held.situation, 100, now))
        show.waiting("the stack is locked")
        show.update("weight 20 %")
        show.updated("weight 20 %", Update(ok=True, said=(), seconds=3.0))
        show.end(Outcome(Exit.DONE, "the canary is at 20 %"))
    text = console.file
    assert isinstance(text, io.StringIO)
    assert "pulumi up: weight 20 %, 3.0 s" in text.getvalue()
    assert "the canary is at 20 %" in text.getvalue()


def test_every_exit_code_is_explained() -> None:
    assert set(MEANING) == set(Exit)
