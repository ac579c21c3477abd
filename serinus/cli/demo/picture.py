"""The picture of the second act: who answered and what failed, second by second, with the cut marked.

One SVG file that needs nothing else, drawn as the charts of a report are.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from local.traffic import Answer
from serinus.cli.demo.results import SecondAct, of
from serinus.rollout.drill import Timeline
from serinus.rollout.report_charts import Chart, Line, Mark, Point, harmless, svg
from serinus.rollout.report_numbers import Interval

_SPAN = 1.0
_WIDTH, _CHART, _HEAD, _GAP = 860, 236, 66, 34
_STYLE = """
svg { background: #ffffff; }
text { font: 12px system-ui, sans-serif; fill: #57606a; }
text.title { font-size: 19px; font-weight: 600; fill: #1f2328; }
text.name { font-size: 14px; font-weight: 600; fill: #1f2328; }
.grid { stroke: #d8dee4; stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.canary { stroke: #b35900; }
.line.weight { stroke: #6e7781; stroke-dasharray: 6 4; }
.line.failed { stroke: #b3261e; }
.mark { stroke: #57606a; stroke-width: 1; stroke-dasharray: 2 3; }
.mark.grave { stroke: #b3261e; stroke-width: 1.5; }
text.mark { stroke: none; fill: #1f2328; font-weight: 600; }
text.mark.grave { stroke: none; fill: #b3261e; }
"""


def picture(answers: Sequence[Answer], moments: Timeline, figures: SecondAct, since: float) -> str:
    """Draw what users got from `since` on, in Unix seconds. `figures` and `moments` are of the same act."""
    shown = [one for one in answers if one.at >= since]
    begin = _at(since)
    end = _at(max((one.at for one in shown), default=since + _SPAN))
    marks = list(_marks(moments))

    def chart(name: str, says: str, *lines: Line) -> Chart:
        return Chart(name, name, says, list(lines), marks, begin, end, _percent, least_top=0.5, verdicts=True)

    weight = Line("weight", "weight", _weight(moments, figures.weight, begin, end), steps=True)
    share = _share(shown, figures)
    charts = [
        chart("traffic", "The share of the answers that the canary gave, and its weight.", weight, share),
        chart("errors", "The share of all answers that failed.", _failed(shown)),
    ]
    names = (f"Answers by {figures.release} (dashed: its weight)", "Failed answers, of all")
    seconds = "never" if figures.fault_to_zero_s is None else f"{figures.fault_to_zero_s:.1f} s"
    told = f"first failed answer to the last of the canary: {seconds}; {figures.failed} of {figures.requests} failed"
    title = f"{figures.release} at {figures.weight} %: {'not cut' if moments.cut is None else 'cut by itself'}"
    height = _HEAD + len(charts) * (_CHART + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="16" y="28">{harmless(title)}</text>',
        f'<text x="16" y="50">{harmless(told)}</text>',
    ]
    for place, (name, drawn) in enumerate(zip(names, charts, strict=True)):
        top = _HEAD + place * (_CHART + _GAP)
        parts.append(f'<text class="name" x="16" y="{top + 18}">{harmless(name)}</text>')
        parts.append(svg(drawn).replace("<svg ", f'<svg y="{top + 22}" width="{_WIDTH}" height="{_CHART}" ', 1))
    return "\n".join([*parts, "</svg>", ""])


def _share(answers: Sequence[Answer], figures: SecondAct) -> Line:
    # An answer that failed names no release. In this act only the canary fails.
    return Line("canary", "canary", list(_spans(answers, lambda one: one.failed or of(figures.release, one))))


def _failed(answers: Sequence[Answer]) -> Line:
    return Line("failed", "failed", list(_spans(answers, lambda one: one.failed)))


def _spans(answers: Sequence[Answer], counts: Callable[[Answer], bool]) -> Iterator[Point]:
    """The share of the answers that count, for each span of time; None where none came."""
    if not answers:
        return
    first, last = min(one.at for one in answers), max(one.at for one in answers)
    for number in range(int((last - first) // _SPAN) + 1):
        start = first + number * _SPAN
        within = [one for one in answers if start <= one.at < start + _SPAN]
        value = sum(map(counts, within)) / len(within) if within else None
        yield Point(_at(start + _SPAN / 2), None if value is None else Interval(value, value, value))


def _weight(moments: Timeline, weight: int, begin: datetime, end: datetime) -> list[Point]:
    high, low = (Interval(value, value, value) for value in (weight / 100, 0.0))
    if moments.cut is None:
        return [Point(begin, high), Point(end, high)]
    return [Point(begin, high), Point(_at(moments.cut), low), Point(end, low)]


def _marks(moments: Timeline) -> Iterator[Mark]:
    told = (("first failed", moments.first_failed, False), ("cut", moments.cut, True))
    for number, (word, moment, grave) in enumerate(told, 1):
        if moment is not None:
            yield Mark(_at(moment), number, grave, word)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
