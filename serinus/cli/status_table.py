"""The picture of a rollout that `serinus status` draws. It fits into 80 columns."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.progress import duration
from serinus.rollout.bill import Bill
from serinus.rollout.canary_release import Spec, ladder_of
from serinus.rollout.hold import Override
from serinus.rollout.status import Counts, Status
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation

_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.BLIND: "magenta", Verdict.INSUFFICIENT: "yellow"}
_BAR = 20
# Older than this the agent is not looking any more.
_OLD_SECONDS = 30


class Seen(NamedTuple):
    """A rollout at one moment.

    next: the weight of the next rung, None on the last. refused: what keeps the release off it. waived: what would, but
    for an override.
    """

    spec: Spec
    status: Status | Violation
    next: int | None
    refused: list[Violation]
    at: datetime
    waived: tuple[Violation, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON; docs/operating.md says what the keys mean."""
        status = None if isinstance(self.status, Violation) else self.status.document()
        return {
            "spec": self.spec.document(),
            "status": status,
            "next": self.next,
            "refused": [asdict(one) for one in self.refused],
            "waived": [asdict(one) for one in self.waived],
        }


def table(seen: Seen) -> Group:
    """Draw it."""
    spec, status = seen.spec, seen.status
    rows = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("service", f"[bold]{escape(spec.service)}[/]")
    rows.add_row("stable", escape(spec.stable))
    rows.add_row("canary", escape(spec.canary) or "none")
    rows.add_row("ladder", _ladder(spec, status if isinstance(status, Status) else None))
    rows.add_row("weight", f"{_bar(spec.weight)} {spec.weight} %")
    parts: list[Any] = [rows]
    if isinstance(status, Status):
        _observed(rows, spec, status, seen.at)
        parts += ["", _counts(status)]
    if spec.override:
        rows.add_row("override", _override(spec.override, seen.at))
    if seen.next is not None:
        parts += ["", _verdict_on(seen.next, seen)]
    parts += [_remark(str(one)) for one in seen.refused]
    if isinstance(status, Status) and "above-allowed-weight" in {one.code for one in seen.refused}:
        parts += [_remark(f"The agent says: {reason}.") for reason in status.reasons]
    return Group(*parts)


def framed(seen: Seen, namespace: str) -> Panel:
    """Draw it for somebody who watches."""
    title = f"[bold]{escape(seen.spec.service)}[/] in {escape(namespace)}"
    return Panel(table(seen), title=title, subtitle=f"[dim]{seen.at:%H:%M:%S} UTC, Ctrl-C ends[/]", border_style="dim")


def _observed(rows: Table, spec: Spec, status: Status, now: datetime) -> None:
    age = (now - status.observed_at).total_seconds()
    rows.add_row("seen", f"{_bar(status.weight)} {status.weight} %, {_age(age)}")
    rows.add_row("allowed", f"{_bar(status.allowed_weight)} {status.allowed_weight} %")
    colour = _COLOURS[status.verdict] if status.verdict else "dim"
    because = escape(status.because or "no reason given")
    rows.add_row("verdict", f"[{colour}]{status.verdict or 'none yet'}[/]: {because}")
    rows.add_row("bake", _bake(spec, status))
    if status.budget:
        upper = ladder_of(spec.ladder).next_rung(status.weight)
        rows.add_row("budget", _budget(status.budget, upper.weight if upper else None))
    if status.hold:
        hold = status.hold
        rows.add_row("[red]held[/]", f"{escape(hold.reason)} (by {escape(hold.by)}, {_moment(hold.since)})")
    for one in status.approvals:
        rows.add_row("approved", f"{one.weight} % by {escape(one.by)}, {_moment(one.at)}")


def _verdict_on(weight: int, seen: Seen) -> str:
    if seen.refused:
        return f"The next rung, {weight} %, is [red]refused[/]:"
    put_aside = f" The override puts aside: {', '.join(one.code for one in seen.waived)}." if seen.waived else ""
    return f"The next rung, {weight} %, is [green]allowed[/].{put_aside}"


def _remark(words: str) -> Padding:
    return Padding(Text(words), (0, 0, 0, 2))


def _ladder(spec: Spec, status: Status | None) -> str:
    """The rungs in order: those behind, the one that is served, those ahead with what they ask for."""
    served = status.weight if status else spec.weight
    approved = {approval.weight for approval in status.approvals} if status else set()
    shown = []
    for rung in spec.ladder:
        asks = " (approval)" if rung.approval and rung.weight not in approved and rung.weight > served else ""
        colour = "bold yellow" if rung.weight == served else "green" if rung.weight < served else "dim"
        shown.append(f"[{colour}]{rung.weight}{asks}[/]")
    return " → ".join(shown)


def _bar(percent: int) -> str:
    full = (percent * _BAR + 99) // 100
    return f"[yellow]{'━' * full}[/][dim]{'─' * (_BAR - full)}[/]"


def _age(seconds: float) -> str:
    told = f"{seconds:.0f} s ago"
    return f"[red]{told}, too old[/]" if seconds > _OLD_SECONDS else told


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"


def _override(override: Override, now: datetime) -> str:
    over = " [red]It is over.[/]" if now >= override.until else ""
    return f"[magenta]{escape(str(override))}[/].{over}"


def _budget(bill: Bill, upper: int | None) -> str:
    limit = f"{bill.per_day:,.2f}"
    if bill.spent is None:
        return f"[red]not known[/] of {limit} today: nobody counts the canary's tokens"
    spent = f"[red]{bill.spent:,.2f}[/]" if bill.overspent else f"{bill.spent:,.2f}"
    told = f"{_bar(min(round(100 * bill.spent / bill.per_day), 100))} {spent} of {limit} today"
    if bill.forecast is None:
        return f"{told}; [red]not counted now[/]"
    told += f"; by midnight UTC {_against(bill.forecast, bill.per_day)}"
    ahead = upper is not None and bill.forecast_at_next is not None
    return f"{told}, at {upper} % {_against(bill.forecast_at_next or 0.0, bill.per_day)}" if ahead else told


def _against(money: float, limit: float) -> str:
    return f"[{'red' if money > limit else 'green'}]{money:,.2f}[/]"


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
