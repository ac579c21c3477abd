"""Charts of a report: SVG that stands in the page itself, reads without colour, and says in words what it shows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import groupby
from typing import NamedTuple

from serinus.rollout.report_labels import Decision, labels
from serinus.rollout.report_numbers import Interval

_WIDTH, _HEIGHT = 860.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 36.0, 28.0
_TICKS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800)
_MOST_TICKS = 8
_MOST_OVER = 2.5
# The lines on which the labels of decisions stand, above the chart.
_ROWS = (13.0, 25.0)


class Point(NamedTuple):
    """What was seen until a moment; None: nothing."""

    at: datetime
    value: Interval | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `style` is canary, stable or weight; with `steps` a value holds until the next one."""

    name: str
    style: str
    points: Sequence[Point]
    steps: bool = False


class Mark(NamedTuple):
    """A decision at its moment, by the number under which the page tells of it; `grave` ones took traffic away."""

    at: datetime
    number: int
    grave: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over the time from `begin` to `end`. `says` is the sentence for whoever does not see it.

    `unit` writes a value, `least_top` is what the scale reaches at least, and `verdicts` writes them at the marks.
    """

    name: str
    title: str
    says: str
    lines: Sequence[Line]
    marks: Sequence[Mark]
    begin: datetime
    end: datetime
    unit: Callable[[float], str]
    least_top: float = 0.0
    verdicts: bool = False


def harmless(text: str) -> str:
    """Return a text as HTML: no markup, and no character that controls how those around it are shown."""
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def svg(chart: Chart) -> str:
    """Draw a chart."""
    frame = _Frame(chart)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img"'
        f' aria-labelledby="{chart.name}-title {chart.name}-says">',
        f'<title id="{chart.name}-title">{harmless(chart.title)}</title>',
        f'<desc id="{chart.name}-says">{harmless(chart.says)}</desc>',
        *frame.grid(),
        *(part for line in chart.lines for part in frame.line(line)),
        *frame.marks(),
        "</svg>",
    ]
    return "\n".join(parts)


class _Frame:
    """Where moments and values lie on the paper."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._seconds = max((chart.end - chart.begin).total_seconds(), 1.0)
        seen = [point.value for line in chart.lines for point in line.points if point.value]
        # Where little is known the intervals are wide; they may leave the chart before they make everything else flat.
        highest = min(
            max((one.high for one in seen), default=0.0), _MOST_OVER * max((one.value for one in seen), default=0.0)
        )
        self._ticks = _round_ticks(max(highest, chart.least_top))

    def x(self, at: datetime) -> float:
        part = (at - self._chart.begin).total_seconds() / self._seconds
        return _LEFT + min(max(part, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        part = min(max(value / self._ticks[-1], 0.0), 1.0)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> Iterable[str]:
        for value in self._ticks:
            y = self.y(value)
            yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            told = harmless(self._chart.unit(value))
            yield f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{told}</text>'
        every = next((tick for tick in _TICKS if self._seconds / tick <= _MOST_TICKS), _TICKS[-1])
        form = "%H:%M:%S" if every < 60 else "%H:%M" if self._seconds <= 86_400 else "%d %b %H:%M"
        first = self._chart.begin.timestamp() // every * every + every
        count = int((self._chart.end.timestamp() - first) // every) + 1
        for place in range(min(count, 4 * _MOST_TICKS)):
            at = datetime.fromtimestamp(first + place * every, self._chart.begin.tzinfo)
            x = self.x(at)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            told = at.strftime(form)
            yield f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 9}" text-anchor="middle">{told}</text>'

    def line(self, line: Line) -> Iterable[str]:
        # What was not seen is a gap, not a line across it.
        for seen, group in groupby(line.points, lambda point: point.value is not None):
            if not seen:
                continue
            run = [(self.x(at), value) for at, value in group if value]
            if any(value.low < value.high for _, value in run):
                upper = [f"{x:.1f},{self.y(value.high):.1f}" for x, value in run]
                lower = [f"{x:.1f},{self.y(value.low):.1f}" for x, value in reversed(run)]
                yield f'<polygon class="band {line.style}" points="{" ".join(upper + lower)}"/>'
            told = f"M{run[0][0]:.1f},{self.y(run[0][1].value):.1f}"
            for x, value in run[1:]:
                told += f"H{x:.1f}V{self.y(value.value):.1f}" if line.steps else f"L{x:.1f},{self.y(value.value):.1f}"
            # One moment alone has no length; the round cap makes it a dot.
            yield f'<path class="line {line.style}" d="{told if len(run) > 1 else told + "h0.01"}"/>'

    def marks(self) -> Iterable[str]:
        by_number = {mark.number: mark for mark in self._chart.marks}
        decisions = [
            Decision(self.x(mark.at), mark.number, mark.verdict if self._chart.verdicts else "")
            for mark in self._chart.marks
        ]
        for label in labels(decisions, _WIDTH):
            for one in label.decisions:
                yield (
                    f'<a href="#d{one.number}" aria-label="decision {one.number}">'
                    f'<line class="{_style(by_number[one.number])}" x1="{one.x:.1f}" x2="{one.x:.1f}"'
                    f' y1="{_ROWS[-1] + 3}" y2="{_HEIGHT - _BOTTOM}"/></a>'
                )
            style = _style(*(by_number[one.number] for one in label.decisions))
            at = f'x="{label.x:.1f}" y="{_ROWS[label.row]}"'
            told = f'<text class="{style}" {at} text-anchor="middle">{harmless(label.text)}</text>'
            # To the line of that decision a reader of the screen comes by itself.
            yield f'<a href="#d{label.decisions[0].number}" aria-hidden="true" tabindex="-1">{told}</a>'


def _style(*marks: Mark) -> str:
    return "mark grave" if any(mark.grave for mark in marks) else "mark"


def _round_ticks(highest: float) -> list[float]:
    """Return round values from 0 to at least `highest`."""
    if highest <= 0:
        return [0.0, 1.0]
    size = 10.0
    while size / 10 >= highest:
        size /= 10
    while size < highest:
        size *= 10
    step = next(size / part for part in (50, 40, 25, 20, 10, 5) if size / part * 5 >= highest)
    count = next(count for count in range(1, 6) if count * step >= highest * (1 - 1e-9))
    return [place * step for place in range(count + 1)]
