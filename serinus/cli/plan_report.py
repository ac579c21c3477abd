"""Writes a plan for people: as Markdown for the comment on a pull request, and with colours for a terminal.

Both say the same lines. Much of what they quote comes from elsewhere, so Markdown shows it as code: it can neither
format the comment nor call anybody by name.
"""

import re
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from serinus.rollout.plan import Decision, Feasibility, Need, Plan

# A comment has room for 65,536 characters; these bounds keep within it, whatever is quoted.
_MOST_LINES = 20
_LONGEST_QUOTE = 500
_WORD = {Decision.GO: "may go", Decision.REFUSED: "refused", Decision.UNKNOWN: "could not be told"}
_SIGN = {Decision.GO: "✅", Decision.REFUSED: "⛔", Decision.UNKNOWN: "❔"}
_STYLE = {Decision.GO: "green", Decision.REFUSED: "red", Decision.UNKNOWN: "yellow"}

Quote = Callable[[str], str]


def marker(stack: str) -> str:
    """Return the line by which the comment of a stack is found again."""
    return f"<!-- serinus plan {stack} -->"


def markdown(plan: Plan) -> str:
    """Return the comment."""
    return "\n".join([marker(plan.stack), f"### {_SIGN[plan.decision]} {_headline(plan, code)}", "", *_comment(plan)])


def show(plan: Plan, console: Console) -> None:
    """Print the report."""
    console.print(Text(_headline(plan, plain), style=f"bold {_STYLE[plan.decision]}"))
    for title, lines in _sections(plan, plain):
        console.print(Text(title, style="bold"))
        for line in _shortened(lines):
            console.print(Text(f"  {line}"))
    console.print(Text(_footer(plan), style="dim"))


def plain(text: str) -> str:
    """Put a text on one line, shortened where it is very long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"


def code(text: str) -> str:
    """Quote a text of any content on one line of Markdown, in a table's cell too."""
    line = plain(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}" if line else ""


def duration(seconds: float) -> str:
    """Say a time as people plan it: 40 s, 12 min, 3 h 20 min, 5 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest:02d} min"
    return f"{round(hours / 24)} days"


def _headline(plan: Plan, quote: Quote) -> str:
    step = "no step" if plan.step is None else f"{plan.step.old} % → {plan.step.new} %"
    if plan.step is not None and plan.step.old == plan.step.new:
        step = f"stays at {plan.step.new} %"
    return f"{quote(plan.service or 'unknown service')} on {quote(plan.stack)}: {step}: {_WORD[plan.decision]}"


def _comment(plan: Plan) -> Iterator[str]:
    for title, lines in _sections(plan, code):
        yield f"**{title}**"
        yield ""
        yield from (f"* {line}" for line in _shortened(lines))
        yield ""
    yield f"<sub>{_footer(plan)}</sub>"
    yield ""


def _sections(plan: Plan, quote: Quote) -> Iterator[tuple[str, list[str]]]:
    if plan.refusals:
        yield (
            "Refused",
            [
                f"{quote(one.rule)} ({one.by}): {quote('. '.join(filter(None, (one.sentence, one.remedy))))}"
                for one in plan.refusals
            ],
        )
    if plan.unknowns:
        yield "Could not be told", [quote(one) for one in plan.unknowns]
    if plan.waived:
        yield "Put aside", [f"{quote(one.rule)} ({quote(one.by)}): {quote(one.sentence)}" for one in plan.waived]
    if not plan.refusals and plan.step is not None:
        yield "Rules", ["no rule refuses this change"]
    yield "Evidence", list(_evidence(plan, quote))
    if plan.drift:
        yield (
            "Drift: the cluster is not as the last update left it",
            [
                f"{quote(one.ingress)} {quote(one.what)}: settings {quote(one.settings)}, "
                f"checkpoint {quote(one.checkpoint)}, live {quote(one.live)} ({quote(one.cause)})"
                for one in plan.drift
            ],
        )
    yield "Feasibility", list(_feasibility(plan))
    yield "Resources", list(_changes(plan, quote))


def _evidence(plan: Plan, quote: Quote) -> Iterator[str]:
    seen = plan.evidence
    if seen is None:
        yield f"none: {quote(plan.no_evidence)}. No data is not health."
        return
    verdict = f"verdict {quote(seen.verdict.value)}" if seen.verdict else "no verdict yet"
    yield f"{verdict}, {seen.age_seconds:.0f} s old" + (f": {quote(seen.because)}" if seen.because else "")
    bake = f" of {duration(seen.bake_seconds)}" if seen.bake_seconds else ""
    yield f"baked {duration(seen.baked_seconds)}{bake}; allowed now: {seen.allowed_weight} %"
    for arm, counts in (("canary", seen.canary), ("stable", seen.stable)):
        yield f"{arm}: {counts.requests:,} requests, {counts.errors:,} errors, {counts.slow:,} slow"
    if seen.held:
        yield f"held: {quote(seen.held)}"


def _feasibility(plan: Plan) -> Iterator[str]:
    told = plan.feasibility
    if told is None:
        yield plan.no_feasibility
        return
    source = "as counted" if told.measured else "as given"
    yield f"{told.per_second:.3g} requests/s ({source}); the stable usually has {told.usual:.1%} bad ones"
    yield f"a canary with {told.worth_seeing:.1%} bad ones {_need('fails', told.to_fail)}"
    yield f"a canary like the stable {_need('passes', told.to_pass)}"
    yield _bake(told)
    yield from (f"warning: {warning}" for warning in told.warnings)


def _bake(told: Feasibility) -> str:
    return f"the step bakes {duration(told.bake_seconds)}" if told.bake_seconds else "the step has no bake time"


def _need(verb: str, need: Need) -> str:
    if need.seconds is None or need.requests is None:
        return f"never {verb}"
    return f"{verb} after {duration(need.seconds)}, {need.requests:,} requests on the canary"


def _changes(plan: Plan, quote: Quote) -> Iterator[str]:
    yield f"{len(plan.changes)} to change, {plan.unchanged} unchanged"
    for one in plan.changes:
        where = f": {quote(', '.join(one.paths))}" if one.paths else ""
        yield f"{one.op} {quote(f'{one.kind}/{one.name}')}{where}"


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f"and {more} more (--json has them all)"]


def _footer(plan: Plan) -> str:
    return f"serinus plan, exit code {plan.exit_code}, as of {plan.at:%Y-%m-%d %H:%M:%S %Z}"
