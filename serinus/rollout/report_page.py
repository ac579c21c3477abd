"""The report as one HTML page that needs nothing else: no network, no script, no font.

Whatever comes from outside, such as a reason that somebody typed, is text and stays text: it is escaped, kept in its
own direction of writing, and a policy of the page lets nothing be loaded or run, should something slip through.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from serinus.rollout.deed import Kind
from serinus.rollout.report import Arm, Recording
from serinus.rollout.report_charts import Chart, harmless, svg
from serinus.rollout.report_numbers import Interval, comparison
from serinus.rollout.report_panels import GRAVE, MOVES, measures, timeline
from serinus.rollout.report_style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(recording: Recording) -> str:
    """Return the whole page."""
    title = f"{recording.service}: {recording.canary or 'no canary'}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{harmless(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_head(recording),
            *_figure(timeline(recording)),
            *_decisions(recording),
            *_comparison(recording),
            *(part for chart in measures(recording) for part in _figure(chart)),
            *_foot(recording),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _quoted(text: str) -> str:
    return f"<bdi>{harmless(text)}</bdi>"


def _moment(at: datetime) -> str:
    own = at.astimezone(UTC)
    return f'<time datetime="{own.isoformat()}">{own:%Y-%m-%d %H:%M:%S}</time>'


def _outcome(recording: Recording) -> tuple[str, str]:
    """Return how it ended, as a word for the style and a sentence."""
    weights = [entry.deed for entry in recording.entries if entry.deed.what in MOVES]
    if not weights:
        return "open", "no step is on record"
    last = weights[-1]
    after = _duration(last.at - weights[0].at)
    if last.what == Kind.CUT:
        return "cut", f"cut at {last.old} % after {after}"
    if last.what == Kind.SWAP:
        return "done", f"the stable release after {after}"
    if last.new == 0:
        return "cut", f"taken back from {last.old} % after {after}"
    return "open", f"at {last.new} % since {after} after the first step"


def _duration(span: timedelta) -> str:
    total = max(round(span.total_seconds()), 0)
    if total < 120:
        return f"{total} s"
    return f"{total // 60} min" if total < 7200 else f"{total // 3600} h {total % 3600 // 60} min"


def _head(recording: Recording) -> Iterable[str]:
    style, outcome = _outcome(recording)
    begin, end = recording.ends
    yield "<header>"
    yield f"<h1>{_quoted(recording.service)}: canary {_quoted(recording.canary or 'none')}</h1>"
    yield f'<p class="outcome {style}">{harmless(outcome[:1].upper() + outcome[1:])}</p>'
    yield (
        f"<p>Compared with the stable release {_quoted(recording.stable or 'unknown')},"
        f" from {_moment(begin)} to {_moment(end)}. All times are UTC.</p>"
    )
    yield "</header>"


def _comparison(recording: Recording) -> Iterable[str]:
    yield "<section><h2>Canary and stable</h2>"
    if not recording.spans:
        yield "<p>Nothing was counted. No data is not health.</p></section>"
        return
    shared = [span for span in recording.spans if span.canary.requests > 0]
    canary, stable = Arm.of(span.canary for span in shared), Arm.of(span.stable for span in shared)
    rows = [
        [harmless(row.what), harmless(row.stable), harmless(row.canary), harmless(row.change), harmless(row.certainty)]
        for row in comparison(canary, stable, recording.prices)
    ]
    yield from _table(["", "stable", "canary", "change", "certainty"], rows, numbers=True)
    yield (
        '<p class="note">Over the minutes in which the canary had requests. In brackets: 95 % intervals. Certainty: how'
        " sure it is that the arms differ in this direction at all, for one look when all is over. The verdicts during"
        " the rollout come from a test that allows for many looks.</p></section>"
    )


def _figure(chart: Chart) -> Iterable[str]:
    yield f"<figure><h2>{harmless(chart.title)}</h2>"
    keys = "".join(f'<li class="{line.style}">{harmless(line.name)}</li>' for line in chart.lines)
    yield f'<ul class="keys">{keys}</ul>'
    yield svg(chart)
    yield f"<figcaption>{harmless(chart.says)}</figcaption>"
    yield "<details><summary>The same as a table</summary>"
    values: dict[datetime, dict[str, Interval | None]] = {}
    for line in chart.lines:
        for at, value in line.points:
            values.setdefault(at, {})[line.name] = value
    rows = [
        [_moment(at), *(_cell(found.get(line.name), chart) for line in chart.lines)]
        for at, found in sorted(values.items())
    ]
    yield from _table(["until", *(line.name for line in chart.lines)], rows, numbers=True)
    yield "</details></figure>"


def _cell(value: Interval | None, chart: Chart) -> str:
    if value is None:
        return ""
    told = chart.unit(value.value)
    if value.low < value.high:
        told += f" ({chart.unit(value.low)} to {chart.unit(value.high)})"
    return harmless(told)


def _decisions(recording: Recording) -> Iterable[str]:
    yield "<section><h2>Decisions</h2>"
    if not recording.entries:
        yield "<p>The ledger has none.</p></section>"
        return
    rows = []
    for entry in recording.entries:
        deed = entry.deed
        weight = f"{deed.old} % → {deed.new} %" if deed.old != deed.new else f"{deed.new} %"
        cells = [
            f'<span id="d{entry.number}">{entry.number}</span>',
            _moment(deed.at),
            f'<span class="what {"grave" if deed.what in GRAVE else ""}">{harmless(deed.what)}</span>',
            harmless(weight),
            harmless(deed.verdict or ""),
            _quoted(deed.who),
            _quoted(deed.reason) + (f" <code>{harmless(deed.commit[:12])}</code>" if deed.commit else ""),
        ]
        rows.append(cells)
    yield from _table(["", "when", "what", "weight", "verdict", "who", "why"], rows)
    yield "</section>"


def _foot(recording: Recording) -> Iterable[str]:
    yield "<footer>"
    if recording.breaks:
        yield '<p class="outcome cut">The ledger is not whole:</p><ul>'
        yield from (f"<li>{_quoted(sentence)}</li>" for sentence in recording.breaks)
        yield "</ul>"
    elif recording.entries:
        newest = recording.entries[-1]
        yield (
            f"<p>The ledger is whole. Entry {newest.number} has the digest <code>{harmless(newest.digest)}</code>:"
            " compare it with what was noted elsewhere.</p>"
        )
    yield f"<p>Recorded at {_moment(recording.taken_at)}.</p></footer>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Iterable[str]:
    """A table; cells are HTML already. With `numbers` all columns but the first are aligned for comparing."""
    yield f'<div class="scroll"><table class="{"numbers" if numbers else "words"}">'
    yield "<thead><tr>" + "".join(f'<th scope="col">{harmless(head)}</th>' for head in heads) + "</tr></thead><tbody>"
    for first, *others in rows:
        yield f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"
    yield "</tbody></table></div>"
