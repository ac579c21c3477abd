"""The numbers of a report: shares and latencies with intervals, and how sure a difference is.

The intervals are of 95 %, for somebody who looks once, when all is over. They are not what the judge decides by: that
is valid however often one looks, see `judge`.
"""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

from serinus.rollout.report import Arm, Prices

_DEVIATIONS = NormalDist().inv_cdf(0.975)


class Interval(NamedTuple):
    """A value and the bounds between which it is."""

    low: float
    value: float
    high: float


class Row(NamedTuple):
    """One line of the comparison. The texts of both arms, what changed, and how sure that is."""

    what: str
    stable: str
    canary: str
    change: str
    certainty: str


def share(part: float, whole: float) -> Interval | None:
    """Return a share with its interval after Wilson, which holds for few requests too; None of nothing."""
    if whole <= 0:
        return None
    value, square = min(part / whole, 1.0), _DEVIATIONS**2
    middle = (value + square / (2 * whole)) / (1 + square / whole)
    half = _DEVIATIONS / (1 + square / whole) * math.sqrt(value * (1 - value) / whole + square / (4 * whole**2))
    return Interval(min(max(middle - half, 0.0), value), value, max(min(middle + half, 1.0), value))


def quantile(buckets: Mapping[float, float], level: float) -> Interval | None:
    """Return the seconds within which this share of answers was done.

    The interval is that of the rank: how far it may be off by chance. Within a bucket answers are taken as spread
    evenly; beyond the last finite edge the edge is told.
    """
    edges = sorted(buckets)
    total = buckets[edges[-1]] if edges else 0.0
    if total <= 0:
        return None
    off = _DEVIATIONS * math.sqrt(level * (1 - level) / total)
    ranks = (max(level - off, 0.0), level, min(level + off, 1.0))
    return Interval(*(_at_rank(buckets, edges, rank) for rank in ranks))


def certainty(canary: tuple[float, float], stable: tuple[float, float]) -> float | None:
    """Return how sure it is that the arms differ in the direction in which they do, from 0.5 to 1.

    Each arm is a part and its whole. After Agresti and Caffo: one success and one failure are added to each arm.
    """
    if canary[1] <= 0 or stable[1] <= 0:
        return None
    shares = [((part + 1) / (whole + 2), whole + 2) for part, whole in (canary, stable)]
    spread = math.sqrt(sum(value * (1 - value) / whole for value, whole in shares))
    return NormalDist().cdf(abs(shares[0][0] - shares[1][0]) / spread)


def comparison(canary: Arm, stable: Arm, prices: Prices) -> list[Row]:
    """Compare the arms line by line."""
    rows = [Row("requests", f"{stable.requests:,.0f}", f"{canary.requests:,.0f}", "", "")]
    sure = certainty((canary.errors, canary.requests), (stable.errors, stable.requests))
    rows.append(
        _of_shares(
            "failed requests", share(canary.errors, canary.requests), share(stable.errors, stable.requests), sure
        )
    )
    rows += [_of_latency(level, canary.cumulative, stable.cumulative) for level in (0.5, 0.95)]
    for what, tokens in (("tokens read", "input_tokens"), ("tokens written", "output_tokens")):
        values = [_each(getattr(arm, tokens), arm.requests) for arm in (stable, canary)]
        rows.append(_of_values(f"{what} per request", values, 1, ""))
    if prices.known:
        costs = [_each(1000 * prices.of(arm), arm.requests) for arm in (stable, canary)]
        rows.append(_of_values("cost of 1,000 requests", costs, 2, prices.currency))
    return rows


def percent(value: float) -> str:
    """Write a share with as many digits as it needs."""
    return f"{100 * value:.2f} %" if 0 < value < 0.1 else f"{100 * value:.1f} %"


def seconds(value: float) -> str:
    """Write a time."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _at_rank(buckets: Mapping[float, float], edges: list[float], rank: float) -> float:
    wanted, below, floor = rank * buckets[edges[-1]], 0.0, 0.0
    for edge in edges:
        # A histogram that was read while it changed may fall; cumulative counts do not.
        here = max(buckets[edge], below)
        if here >= wanted:
            if math.isinf(edge):
                return floor
            return floor + (edge - floor) * ((wanted - below) / (here - below) if here > below else 1.0)
        below, floor = here, edge if not math.isinf(edge) else floor
    return floor


def _of_shares(what: str, canary: Interval | None, stable: Interval | None, sure: float | None) -> Row:
    change = f"{100 * (canary.value - stable.value):+.2f} points" if canary and stable else ""
    return Row(what, _told(stable), _told(canary), change, _sure(sure))


def _of_latency(level: float, canary: Mapping[float, float], stable: Mapping[float, float]) -> Row:
    what = f"{100 * level:.0f} of 100 answered within"
    values = quantile(stable, level), quantile(canary, level)
    told = [
        f"{seconds(value.value)} ({seconds(value.low)} to {seconds(value.high)})" if value else "none"
        for value in values
    ]
    if values[0] is None or values[1] is None:
        return Row(what, told[0], told[1], "", "")
    # Whether the distributions differ at this point: at an edge, where counts are exact, do more answers lie above it?
    edge = min(
        (edge for edge in stable if edge in canary and not math.isinf(edge)),
        key=lambda edge: abs(edge - (values[0].value if values[0] else 0.0)),
        default=None,
    )
    sure = None
    if edge is not None:
        above = [(max(of[max(of)] - of[edge], 0.0), of[max(of)]) for of in (canary, stable)]
        sure = certainty(above[0], above[1])
    change = _times(values[1].value, values[0].value)
    return Row(what, told[0], told[1], change, _sure(sure))


def _of_values(what: str, values: list[float | None], digits: int, unit: str) -> Row:
    stable, canary = values
    told = ["none" if value is None else f"{value:,.{digits}f} {unit}".strip() for value in values]
    change = _times(canary, stable) if stable and canary is not None else ""
    return Row(what, told[0], told[1], change, "")


def _times(canary: float, stable: float) -> str:
    if stable <= 0:
        return ""
    change = round(100 * (canary / stable - 1))
    return f"{change:+d} %" if change else "none"


def _each(whole: float, parts: float) -> float | None:
    return whole / parts if parts > 0 else None


def _told(value: Interval | None) -> str:
    return f"{percent(value.value)} ({percent(value.low)} to {percent(value.high)})" if value else "none"


def _sure(value: float | None) -> str:
    if value is None:
        return ""
    return "over 99.9 %" if value > 0.999 else f"{100 * value:.1f} %"
