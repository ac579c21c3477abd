"""`serinus backtest`: the guards of a stack over what Prometheus remembers, before they may roll anything back."""

import dataclasses
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from local.errors import LocalError
from local.progress import console, say
from serinus.cli.stack_settings import stack_settings
from serinus.rollout.alert_rules import seconds_between_looks
from serinus.rollout.backtest import Outcome, Series, Span, fired, outcome, read_series

_MOST_POINTS = 10_000
"""Prometheus answers at most 11,000 points of a series at once."""
_SECONDS = 60.0

Ask = Callable[[str, Span, int], Series]


def command(
    stack: Annotated[str, typer.Option(help="The stack; the guards are those of its settings.")],
    start: Annotated[str, typer.Option(help="Since when, such as 2026-11-20T08:00:00Z.")],
    end: Annotated[str, typer.Option(help="Until when.")],
    prometheus: Annotated[str, typer.Option(help="The URL of a Prometheus, to ask it.")] = "",
    replay: Annotated[Path | None, typer.Option(help="A file that --save wrote, to ask it instead.")] = None,
    save: Annotated[Path | None, typer.Option(help="Keep Prometheus' answers here.")] = None,
    bad: Annotated[
        list[str] | None, typer.Option(help="A time that was bad, START/END; may be given again. All else was good.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Say when each guard would have fired: false alarms, what it missed, and how late it was.

    Try other limits by changing `serinus:alerts` in the stack's file; `up` is not needed for it.
    """
    if bool(prometheus) == (replay is not None):
        raise typer.BadParameter("give one of --prometheus and --replay")
    span = _span(f"{start}/{end}")
    wrong = [_span(one) for one in bad or []]
    book = _Book(_asker(prometheus) if prometheus else None, replay)
    outcomes = _outcomes(stack, span, wrong, book.ask)
    if save is not None:
        book.save(save)
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in outcomes]))
    else:
        _show(outcomes, span, len(wrong))


class _Book:
    """The answers by query: from a file, or from Prometheus and kept."""

    def __init__(self, ask: Callable[[str, Span, int], list[object]] | None, replay: Path | None) -> None:
        self._ask = ask
        self._answers: dict[str, list[object]] = _read(replay) if replay else {}

    def ask(self, query: str, span: Span, step: int) -> Series:
        key = f"{step}s {query}"
        if key not in self._answers:
            if self._ask is None:
                remedy = "a guard's window, or a release, is another than when the file was saved: save it anew"
                raise LocalError(f"the file has no answer to: {query}", remedy=remedy)
            self._answers[key] = self._ask(query, span, step)
        found: dict[float, float] = {}
        for answer in self._answers[key]:
            try:
                found |= read_series(answer)
            except ValueError as error:
                raise LocalError(f"an answer can't be used: {error}") from None
        return found

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._answers), encoding="utf-8")


def _outcomes(stack: str, span: Span, bad: Sequence[Span], ask: Ask) -> list[Outcome]:
    # Only here: Pulumi's libraries take their time, and no other command needs them.
    from stacks.monitoring import asked_by

    settings = stack_settings(stack)
    rules = asked_by(settings)
    if not rules:
        raise LocalError(f"the stack {stack} has no canary", remedy="set serinus:canary to the release that ran then")
    found = []
    for name, rule in rules.items():
        guard = settings.alerts.on()[name]
        step = seconds_between_looks(guard)
        values, samples = (ask(query, span, step) if query else {} for query in (rule.value, rule.samples))
        found.append(outcome(name, fired(rule, guard, values, samples, span, step), bad))
    return found


def _asker(url: str) -> Callable[[str, Span, int], list[object]]:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise typer.BadParameter(f"--prometheus is {url!r}: it must begin with http:// or https://")

    def ask(query: str, span: Span, step: int) -> list[object]:
        answers = []
        begin = span.start
        while begin <= span.end:
            last = min(span.end, begin + (_MOST_POINTS - 1) * step)
            form = {"query": query, "start": begin, "end": last, "step": step}
            request = urllib.request.Request(  # noqa: S310 (the scheme is checked above)
                f"{url.rstrip('/')}/api/v1/query_range", data=urllib.parse.urlencode(form).encode()
            )
            try:
                with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                    answers.append(json.load(answer))
            except (OSError, ValueError) as error:
                raise LocalError(f"Prometheus at {url} gives no answer: {error}") from None
            begin = last + step
        return answers

    return ask


def _read(path: Path) -> dict[str, list[object]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LocalError(f"{path} can't be read: {error}", remedy="give a file that --save wrote") from None
    if not isinstance(found, dict) or not all(isinstance(one, list) for one in found.values()):
        raise LocalError(f"{path} holds no answers of Prometheus by query", remedy="give a file that --save wrote")
    return found


def _span(text: str) -> Span:
    """A span in whole seconds: Prometheus rounds others, and its answers are found again by their times."""
    try:
        start, end = (datetime.fromisoformat(one) for one in text.split("/"))
        if start.tzinfo is None or end.tzinfo is None or end <= start:
            raise ValueError  # noqa: TRY301 - told in the same words
    except ValueError:
        allowed = "2026-11-20T08:00:00Z/2026-11-20T09:00:00Z, with zones, the later last"
        raise typer.BadParameter(f"{text!r} is no span of time; allowed: {allowed}") from None
    return Span(float(int(start.timestamp())), float(int(end.timestamp())))


def _show(outcomes: Sequence[Outcome], span: Span, bad: int) -> None:
    table = Table("guard", "fired", "false alarms", "first one", "missed", "delay", box=None)
    for one in outcomes:
        first = datetime.fromtimestamp(one.false_alarms[0].start, UTC).isoformat() if one.false_alarms else "-"
        delay = f"{max(one.delays):.0f} s" if one.delays else "-"
        missed = f"{one.missed} of {bad}" if bad else "-"
        table.add_row(one.guard, str(len(one.fired)), str(len(one.false_alarms)), first, missed, delay)
    console.print(table)
    say(f"{(span.end - span.start) / 3600:.1f} h; the delay is the longest.")
