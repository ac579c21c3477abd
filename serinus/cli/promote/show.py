"""What a person or a script sees of a promoter.

On a terminal a small picture that moves: the ladder, the bake, the counts, the next gate. Elsewhere plain lines, one
when something changes. With --json one document a line.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from local.progress import duration
from serinus.cli.promote.cluster import Seen
from serinus.cli.promote.engine import Update
from serinus.cli.promote.outcome import Exit, Outcome
from serinus.rollout.promotion import Act, Kind, bake_left
from serinus.rollout.status import Status

_BAR_WIDTH = 32
# On plain output a long wait still shows a sign of life.
_REMIND_SECONDS = 60.0


class Show(Protocol):
    """Shows what happens. Every method returns at once."""

    def state(self, seen: Seen, act: Act) -> None:
        """Where the rollout stands, and what comes next. Called at each look."""

    def waiting(self, why: str, seconds: float | None = None) -> None:
        """Something else than the rollout is waited for."""

    def note(self, sentence: str) -> None:
        """Something was done that a person should know of."""

    def update(self, what: str) -> None:
        """An update of the stack begins."""

    def updated(self, what: str, update: Update | None) -> None:
        """It has ended; None: by a signal."""

    def end(self, outcome: Outcome) -> None:
        """The promoter ends."""


class Lines:
    """One line for each thing that changes."""

    def __init__(self) -> None:
        self._last = ""
        self._at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def state(self, seen: Seen, act: Act) -> None:
        event = "waiting" if act.kind is Kind.WAIT else str(act.kind)
        # What stands against a rise tells ages and counts, which move at each look. That is no news.
        key = f"{event} {act.weight} {[violation.code for violation in act.because]}"
        if act.kind in (Kind.WAIT, Kind.RAISE, Kind.APPLY):
            self._once(key, event, sentence(seen, act), **facts(seen, act))

    def waiting(self, why: str, seconds: float | None = None) -> None:
        self._once(f"waiting {why.split(' for another')[0]}", "waiting", why, seconds=seconds)

    def note(self, sentence: str) -> None:
        self._emit("note", sentence)

    def update(self, what: str) -> None:
        self._emit("update", f"pulumi up: {what}")

    def updated(self, what: str, update: Update | None) -> None:
        if update is None:
            self._emit("interrupted", f"pulumi up: {what} was interrupted", ok=False)
        elif update.ok:
            self._emit("updated", f"pulumi up: {what}, {duration(update.seconds)}", ok=True, seconds=update.seconds)
        else:
            said = "; ".join(update.said)
            self._emit("updated", f"pulumi up: {what} failed: {said}", ok=False, seconds=update.seconds, said=said)

    def end(self, outcome: Outcome) -> None:
        told = f"{outcome.sentence}\n  {outcome.remedy}" if outcome.remedy else outcome.sentence
        self._emit("end", told, exit=int(outcome.exit), remedy=outcome.remedy)

    def _once(self, key: str, event: str, sentence: str, **facts: object) -> None:
        if key != self._last or time.monotonic() - self._at > _REMIND_SECONDS:
            self._last, self._at = key, time.monotonic()
            self._emit(event, sentence, **facts)

    def _emit(self, event: str, sentence: str, **facts: object) -> None:
        print(sentence, flush=True)


class Json(Lines):
    """One JSON document for each thing that changes: event, at, sentence and what belongs to it."""

    def _emit(self, event: str, sentence: str, **facts: object) -> None:
        at = datetime.now(UTC).isoformat()
        said = {"event": event, "at": at, "sentence": sentence.partition("\n")[0], **facts}
        print(json.dumps(said, ensure_ascii=False), flush=True)


class Picture(Lines):
    """A picture that moves below the lines of what was done. To be used with `with`."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._doing = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def state(self, seen: Seen, act: Act) -> None:
        self._live.update(picture(seen, act))

    def waiting(self, why: str, seconds: float | None = None) -> None:
        self._live.update(Text(f"… {why}", style="dim"))

    def update(self, what: str) -> None:
        self._live.update(Text(f"▸ pulumi up: {what} …", style="cyan"))

    def _emit(self, event: str, sentence: str, **facts: object) -> None:
        bad = facts.get("ok") is False or facts.get("exit", 0) not in (Exit.DONE, Exit.APPROVAL, 0)
        style = "red" if bad else "green" if event in ("updated", "end") else ""
        self._console.print(Text(sentence, style=style))


def facts(seen: Seen, act: Act) -> dict[str, Any]:
    """What a script may want to know of a look."""
    situation = seen.situation
    status = situation.status if isinstance(situation.status, Status) else None
    return {
        "weight": situation.served,
        "next": act.weight,
        "bakeLeft": round(bake_left(situation), 1),
        "because": [violation.code for violation in act.because],
        "verdict": status.verdict if status else None,
        "canary": status.canary_counts.document() if status else None,
        "stable": status.stable_counts.document() if status else None,
        "allowedWeight": status.allowed_weight if status else None,
    }


def sentence(seen: Seen, act: Act) -> str:
    """Where a rollout stands, in a line."""
    at = f"{seen.situation.served} %"
    if act.kind is Kind.RAISE:
        return f"{at}: the rules allow {act.weight} %"
    if act.kind is Kind.APPLY:
        return f"{at}: {act.weight} % is committed"
    left = bake_left(seen.situation)
    return f"{at}: {f'{duration(left)} of the bake left; ' if left else ''}{act.why}"


def picture(seen: Seen, act: Act) -> RenderableType:
    """Where a rollout stands, for a terminal."""
    situation = seen.situation
    table = Table(show_header=False, box=None, padding=(0, 1))
    rungs = Text()
    for rung in situation.declared.ladder.rungs:
        reached = rung.weight <= situation.served
        here = reached and situation.declared.ladder.last_rung(situation.served) == rung
        mark = "●" if here else "✓" if reached else "✋" if rung.approval else "○"
        style = "bold yellow" if here else "green" if reached else "dim"
        rungs.append(f"{mark} {rung.weight} %   ", style=style)
    table.add_row("ladder", rungs)
    lower = situation.declared.ladder.last_rung(situation.served)
    if lower is not None and lower.bake_seconds:
        left = bake_left(situation)
        bar = ProgressBar(total=lower.bake_seconds, completed=lower.bake_seconds - left, width=_BAR_WIDTH)
        bake = Table.grid(padding=(0, 1))
        bake.add_row(bar, f"{duration(left)} left" if left else "done")
        table.add_row("bake", bake)
    status = situation.status
    if isinstance(status, Status):
        for arm, counts in (("canary", status.canary_counts), ("stable", status.stable_counts)):
            table.add_row(arm, f"{counts.requests} requests, {counts.errors} errors, {counts.slow} slow")
        table.add_row("verdict", f"{status.verdict or 'none yet'}: {status.because or 'no reason given'}")
    gate = act.why or "nothing"
    table.add_row("next", Text(f"{act.weight} %, {'as soon as ' if not act.because else 'after: '}{gate}"))
    return Group(Text(f"{situation.declared.service} · {situation.declared.canary}", style="bold"), table)
