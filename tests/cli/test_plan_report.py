"""The report as people read it, and as programs do."""

import io
import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from serinus.cli.plan_report import code, duration, markdown, marker, show
from serinus.rollout.outlook import Expected
from serinus.rollout.plan import Plan
from tests.cli.plans import diagnostic, live, plan, policy, preview, release, status

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "fine`**bold** <img src=x> [link](http://x) @everyone | a\n# Heading\n"


def terminal(report: Plan) -> str:
    written = io.StringIO()
    show(report, Console(file=written, width=200))
    return written.getvalue()


def test_the_comment_begins_with_the_mark_by_which_it_is_found_again() -> None:
    assert markdown(plan()).splitlines()[0] == marker("dev") == "<!-- serinus plan dev -->"


@pytest.mark.parametrize("write", [markdown, terminal])
def test_a_step_that_may_go_says_step_evidence_and_what_it_can_show(write: object) -> None:
    assert callable(write)
    told = write(plan(expected=Expected(per_second=20.0, usual=0.01)))
    for words in (
        "5 % → 20 %: may go",
        "no rule refuses this change",
        "3 s old",
        "no worse than the stable",
        "canary: 500 requests, 1 errors, 17 slow",
        "stable: 9,500 requests, 19 errors, 300 slow",
        "baked 17 min of 10 min; allowed now: 20 %",
        "20 requests/s (as given)",
        "a canary with 5.0% bad ones fails after",
        "the step bakes 30 min",
        "Ingress/chat-canary",
        "1 to change, 1 unchanged",
        "exit code 0, as of 2026-11-21 12:00:00 UTC",
    ):
        assert words in told


@pytest.mark.parametrize("write", [markdown, terminal])
def test_a_refusal_names_rule_and_remedy(write: object) -> None:
    assert callable(write)
    told = write(plan(live_=live(5, release(status(bakedSeconds=10.0)))))
    assert "refused" in told.splitlines()[0] + told.splitlines()[1]
    assert "bake-not-over" in told
    assert "Wait until the bake is over." in told
    assert "no rule refuses" not in told


@pytest.mark.parametrize("write", [markdown, terminal])
def test_want_of_data_is_told_as_such(write: object) -> None:
    assert callable(write)
    told = write(plan(live_=live(5)))
    assert "could not be told" in told
    assert "the cluster knows no CanaryReleases" in told
    assert "No data is not health." in told


@pytest.mark.parametrize("write", [markdown, terminal])
def test_drift_and_holds_are_shown(write: object) -> None:
    assert callable(write)
    hold = {"reason": "every answer failed", "by": "serinus-agent", "since": "2026-11-21T11:30:00Z"}
    there = live(0, release(status(weight=0, hold=hold)), managers={"canary-weight": "serinus-agent"})
    told = write(plan(preview(5, 20), there)).replace("`", "")
    assert "chat-canary canary-weight: settings 20, checkpoint 5, live 0 (cut by the agent)" in told
    assert "held: every answer failed" in told


def test_what_others_wrote_can_not_format_the_comment_or_call_anybody() -> None:
    judged = plan(
        preview(5, 20, policy("a-rule", HOSTILE), diagnostic(HOSTILE)),
        live(5, release(status(because=HOSTILE, hold={"reason": HOSTILE, "by": "x", "since": "2026-11-21T11:30:00Z"}))),
    )
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(judged))
    for tag in ("<img", "<a ", "<strong>bold", "<h1>", "<table>"):
        assert tag not in rendered
    outside = "".join(part.partition("</code>")[2] for part in f"</code>{rendered}".split("<code>"))
    assert "@everyone" not in outside
    assert rendered.count("@everyone") == 5


@pytest.mark.parametrize("text", ["plain", "`", "``a``", "a`b``c", " `x` "])
def test_a_quoted_text_is_code_and_nothing_else(text: str) -> None:
    tokens = MarkdownIt().parse(f"x {code(text)} y")
    (inline,) = [token for token in tokens if token.type == "inline"]
    kinds = [(child.type, child.content) for child in inline.children or []]
    assert kinds == [("text", "x "), ("code_inline", text.strip()), ("text", " y")]


def test_many_changes_are_cut_short_and_counted() -> None:
    one = plan().changes[0]
    told = markdown(plan().model_copy(update={"changes": (one,) * 30, "unchanged": 2}))
    assert "30 to change, 2 unchanged" in told
    assert told.count("update `Ingress/chat-canary`") == 19
    assert "and 11 more" in told


def test_a_comment_keeps_within_its_bounds_whatever_is_quoted() -> None:
    endless = "`x" * 50_000
    many = [policy(f"rule-{n}", endless) for n in range(100)] + [diagnostic(f"{n} {endless}") for n in range(100)]
    assert len(markdown(plan(preview(5, 20, *many), live(5, release(status(because=endless)))))) < 65_536


def test_a_need_that_no_time_meets_is_never_met() -> None:
    told = markdown(plan(expected=Expected(per_second=0.0)))
    assert "never fails" in told
    assert "never passes" in told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5340, "89 min"),
        (5399, "1 h 30 min"),
        (7200, "2 h 00 min"),
        (400_000, "5 days"),
    ],
)
def test_durations_are_told_as_people_plan(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_the_json_has_the_documented_schema() -> None:
    documented = json.loads((ROOT / "docs" / "plan.schema.json").read_text())
    assert documented == Plan.model_json_schema(by_alias=True, mode="serialization")


def test_the_json_says_what_the_report_says() -> None:
    written = json.loads(plan().model_dump_json(by_alias=True))
    assert written["decision"] == "go"
    assert written["step"] == {"old": 5, "new": 20, "canary": "chat-v2", "seen": "live"}
    assert written["evidence"]["canary"] == {"requests": 500, "errors": 1, "slow": 17}
    assert Plan.model_validate_json(json.dumps(written)) == plan()
