"""Which charts a report has, and what they show: the rollout's course, and what was measured of both arms."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from serinus.rollout.deed import Kind
from serinus.rollout.ledger import Entry
from serinus.rollout.report import Arm, Recording, Span
from serinus.rollout.report_charts import Chart, Line, Mark, Point
from serinus.rollout.report_numbers import Interval, percent, quantile, seconds, share

GRAVE = (Kind.CUT, Kind.HELD, Kind.BLIND)
MOVES = (Kind.STEP, Kind.CUT, Kind.SWAP)
_MOST_POINTS = 60


def timeline(recording: Recording) -> Chart:
    """The weights, the share that the gateway really gave the canary, and every decision with its verdict."""
    begin, end = _frame(recording)
    traffic = [
        Point(span.at, share(span.canary.requests, span.canary.requests + span.stable.requests))
        for span in recording.coarser(_MOST_POINTS)
    ]
    return Chart(
        "timeline",
        "Course",
        "The weight by the ledger, in steps; the canary's share of the requests that were counted; the decisions by"
        " their numbers, with the verdicts.",
        [
            Line("weight", "weight", _weights(recording.entries, end), steps=True),
            Line("share of requests", "canary", traffic),
        ],
        _marks(recording),
        begin,
        end,
        _whole_percent,
        least_top=0.1,
        verdicts=True,
    )


def measures(recording: Recording) -> list[Chart]:
    """What was measured of both arms; nothing where nothing was."""
    if not recording.spans:
        return []
    spans = recording.coarser(_MOST_POINTS)
    found = [
        ("errors", "Failed requests", "Share of requests that failed.", _both(spans, _errors), percent),
        ("latency", "Latency", "Time within which 95 of 100 requests were answered.", _both(spans, _p95), seconds),
        ("tokens", "Tokens written", "Tokens written per request.", _both(spans, _tokens), _plain),
    ]
    if recording.prices.known:
        title = f"Cost so far{', ' if recording.prices.currency else ''}{recording.prices.currency}"
        found.append(
            ("cost", title, "What the tokens of each arm cost since the beginning.", _costs(recording), _money)
        )
    frame = (_marks(recording), *_frame(recording))
    return [
        Chart(
            name,
            title,
            f"{says} Shaded: 95 % intervals." if name in ("errors", "latency") else says,
            lines,
            *frame,
            unit,
        )
        for name, title, says, lines, unit in found
    ]


def _frame(recording: Recording) -> tuple[datetime, datetime]:
    begin, end = (at.astimezone(UTC) for at in recording.ends)
    margin = max((end - begin) / 50, timedelta(seconds=5))
    return begin - margin, end + margin


def _marks(recording: Recording) -> list[Mark]:
    return [
        Mark(entry.deed.at, entry.number, entry.deed.what in GRAVE, entry.deed.verdict or "")
        for entry in recording.entries
    ]


def _weights(entries: Sequence[Entry], end: datetime) -> list[Point]:
    deeds = [entry.deed for entry in entries if entry.deed.what in MOVES]
    if not deeds:
        return []
    after = [Point(deed.at, _exactly(deed.new / 100)) for deed in deeds]
    return [Point(deeds[0].at, _exactly(deeds[0].old / 100)), *after, Point(end, after[-1].value)]


def _both(spans: Sequence[Span], of: Callable[[Arm], Interval | None]) -> list[Line]:
    return [
        Line("stable", "stable", [Point(span.at, of(span.stable)) for span in spans]),
        Line("canary", "canary", [Point(span.at, of(span.canary)) for span in spans]),
    ]


def _costs(recording: Recording) -> list[Line]:
    totals, points = {"stable": 0.0, "canary": 0.0}, {"stable": list[Point](), "canary": list[Point]()}
    for span in recording.coarser(_MOST_POINTS):
        for name, arm in (("stable", span.stable), ("canary", span.canary)):
            totals[name] += recording.prices.of(arm)
            points[name].append(Point(span.at, _exactly(totals[name])))
    return [Line(name, name, points[name]) for name in totals]


def _errors(arm: Arm) -> Interval | None:
    return share(arm.errors, arm.requests)


def _p95(arm: Arm) -> Interval | None:
    return quantile(arm.cumulative, 0.95)


def _tokens(arm: Arm) -> Interval | None:
    return _exactly(arm.output_tokens / arm.requests) if arm.requests > 0 else None


def _exactly(value: float) -> Interval:
    return Interval(value, value, value)


def _whole_percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _money(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
