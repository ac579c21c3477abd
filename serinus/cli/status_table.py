"""The picture of a rollout that `serinus status` draws."""

from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from local.progress import duration
from serinus.rollout.canary_release import Spec, ladder_of
from serinus.rollout.status import Counts, Status
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation

_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.BLIND: "magenta", Verdict.INSUFFICIENT: "yellow"}
_BAR = 20
# Older than this the agent is not looking any more.
_OLD_SECONDS = 30


class Seen(NamedTuple):
    """A rollout at one moment. `next` is the weight of the next rung, None on the last; `refused` what keeps it off."""

    spec: Spec
    status: Status | Violation
    next: int | None
    refused: list[Violation]
    at: datetime

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        told = [{"code": one.code, "sentence": one.sentence, "remedy": one.remedy} for one in self.refused]
        status = None if isinstance(self.status, Violation) else self.status.document()
        return {"spec": self.spec.document(), "status": status, "next": self.next, "refused": told}


def table(seen: Seen) -> Group:
    """Draw it."""
    spec, status = seen.spec, seen.status
    rows = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    rows.add_row("service", f"[bold]{escape(spec.service)}[/]")
    rows.add_row("stable", escape(spec.stable))
    rows.add_row("canary", escape(spec.canary) or "none")
    rows.add_row("weight", f"{_bar(spec.weight)} {spec.weight} %")
    parts: list[Any] = [rows]
    if isinstance(status, Status):
        age = (seen.at - status.observed_at).total_seconds()
        rows.add_row("seen", f"{_bar(status.weight)} {status.weight} %, {_age(age)}")
        rows.add_row("allowed", f"{_bar(status.allowed_weight)} {status.allowed_weight} %")
        colour = _COLOURS[status.verdict] if status.verdict else "dim"
        because = escape(status.because or "no reason given")
        rows.add_row("verdict", f"[{colour}]{status.verdict or 'none yet'}[/]: {because}")
        rows.add_row("bake", _bake(spec, status))
        if status.hold:
            hold = status.hold
            rows.add_row("[red]held[/]", f"{escape(hold.reason)} (by {escape(hold.by)}, {hold.since.isoformat()})")
        for one in status.approvals:
            rows.add_row("approved", f"{one.weight} % by {escape(one.by)}, {one.at.isoformat()}")
        parts.append(_counts(status))
    if seen.next is not None:
        parts.append(f"The next rung, {seen.next} %, is {'[red]refused[/]:' if seen.refused else '[green]allowed[/].'}")
    parts += [f"  {escape(str(one))}" for one in seen.refused]
    return Group(*parts)


def _bar(percent: int) -> str:
    full = (percent * _BAR + 99) // 100
    return f"[yellow]{'━' * full}[/][dim]{'─' * (_BAR - full)}[/]"


def _age(seconds: float) -> str:
    told = f"{seconds:.0f} s ago"
    return f"[red]{told}, too old[/]" if seconds > _OLD_SECONDS else told


def _bake(spec: Spec, status: Status) -> str:
    rung = ladder_of(spec.ladder).last_rung(status.weight)
    wanted = rung.bake_seconds if rung else 0
    left = wanted - status.baked_seconds
    if left <= 0:
        return f"done ({duration(status.baked_seconds)})"
    return f"{duration(left)} left of {duration(wanted)}"


def _counts(status: Status) -> Table:
    drawn = Table("", "requests", "errors", "slow", box=None, padding=(0, 2, 0, 0))
    for column in drawn.columns[1:]:
        column.justify = "right"
    for name, arm in (("stable", status.stable_counts), ("canary", status.canary_counts)):
        drawn.add_row(name, f"{arm.requests}", _part(arm, arm.errors), _part(arm, arm.slow))
    return drawn


def _part(arm: Counts, part: int) -> str:
    return f"{part} ({100 * part / arm.requests:.1f} %)" if arm.requests else str(part)
