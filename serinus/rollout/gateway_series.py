"""What the gateway counted for each service, out of the page of metrics that it shows.

One page has all services of the gateway. So its lines are sorted once, and each service reads only its own.

The page comes over the network, so it is taken for hostile. A series of ours that can't be right (a NaN, a negative
count, a request that was counted but never timed) spoils the whole reading: half of it would look like health.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from serinus.rollout.alert_queries import gateway_label
from serinus.rollout.evidence import Arms, Counts, Tally

ERRORS = "errors"
SLOW = "slow"

_PORT = "http"
_REQUESTS = "traefik_service_requests_total"
_SECONDS = "traefik_service_request_duration_seconds"
_SAMPLE = re.compile(rf"({_REQUESTS}|{_SECONDS}_(?:bucket|count))\{{(.*)\}} (\S+)(?: -?\d+)?", re.ASCII)
_SERVICE = re.compile(r'[{,]service="([^"\\]*)"')
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)', re.ASCII)
_MOST = 2.0**53
# Whoever hung up did not wait for the answer: it says nothing of how that would have ended.
_HUNG_UP = "499"
_SERVER_ERROR = re.compile(r"5\d\d", re.ASCII)
# A release's id is its name, a dash and 8 digits of its hash.
_HASH = 9


Lines = Mapping[str, Sequence[str]]
"""The lines of a page by the gateway's name of what they count."""


class GarbageError(ValueError):
    """A page that can't be what a gateway counted. The message says what is wrong with it."""


class Names(NamedTuple):
    """What the gateway calls the two arms of a split."""

    canary: str
    stable: str


def names(namespace: str, service: str, stable: str) -> Names:
    """Return the gateway's names for the arms of a service whose stable release has the id `stable`.

    Both are made of the stable side: of its Ingress, its Service and its port. The canary's own names occur in neither.
    """
    place = (namespace, f"{service}-stable", f"{service}-{stable[:-_HASH]}", _PORT)
    return Names(gateway_label(*place, canary=True), gateway_label(*place))


@dataclass(slots=True)
class _Arm:
    """One arm's series, each by its other labels."""

    requests: dict[tuple[str, ...], float] = field(default_factory=dict)
    timed: dict[tuple[str, ...], float] = field(default_factory=dict)
    within: dict[tuple[str, ...], dict[float, float]] = field(default_factory=lambda: defaultdict(dict))


def sort(page: str) -> Lines:
    """Sort a page's lines by what they count. Raises GarbageError where it was cut short."""
    if page and not page.endswith("\n"):
        raise GarbageError("the page is cut short")
    found: dict[str, list[str]] = {}
    for line in page.splitlines():
        if line.startswith((_REQUESTS, _SECONDS)):
            named = _SERVICE.search(line)
            if named is not None:
                found.setdefault(named[1], []).append(line)
    return found


def lines_of(lines: Lines, arms: Names) -> tuple[Sequence[str], Sequence[str]]:
    """Return the lines of both arms: as long as they are the same, so is what `read` makes of them."""
    return lines.get(arms.canary, ()), lines.get(arms.stable, ())


def read(lines: Lines, arms: Names, slow_seconds: float | None = None) -> Counts:
    """Return what both arms did so far. An arm without series has counted nothing yet.

    An answer is slow after `slow_seconds`, which must be one of the gateway's bounds: where it is none, nothing is said
    of slowness. Raises GarbageError.
    """
    found = {name: _Arm() for name in arms}
    for own in lines_of(lines, arms):
        for line in own:
            _take(line, found)
    for name, arm in found.items():
        _check(name, arm)
    canary, stable = found[arms.canary], found[arms.stable]
    counts = {ERRORS: Arms(_errors(canary), _errors(stable))}
    if slow_seconds is not None:
        slow = _slow(canary, slow_seconds), _slow(stable, slow_seconds)
        if slow[0] is not None and slow[1] is not None:
            counts[SLOW] = Arms(slow[0], slow[1])
    return counts


def _take(line: str, found: Mapping[str, _Arm]) -> None:
    sample = _SAMPLE.fullmatch(line)
    if sample is None:
        if line.startswith((_REQUESTS, f"{_SECONDS}_bucket", f"{_SECONDS}_count")):
            raise GarbageError(f"not a sample: {line[:120]!r}")
        return
    metric, inner, text = sample.groups()
    labels = dict(_LABEL.findall(inner))
    arm = found.get(labels.get("service", ""))
    if arm is None:
        return
    value = _number(text)
    key = (labels.get("code", ""), labels.get("method", ""), labels.get("protocol", ""))
    if metric == _REQUESTS:
        _put(arm.requests, key, value, line)
    elif metric.endswith("_count"):
        _put(arm.timed, key, value, line)
    else:
        _put(arm.within[key], _number(labels.get("le", ""), infinite=True), value, line)


def _put(series: dict[Any, float], key: object, value: float, line: str) -> None:
    if key in series:
        raise GarbageError(f"twice the same series: {line[:120]!r}")
    series[key] = value


def _number(text: str, *, infinite: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        raise GarbageError(f"{text[:40]!r} is no number") from None
    if math.isnan(value) or value < 0 or (value > _MOST and not (infinite and math.isinf(value))):
        raise GarbageError(f"{text[:40]!r} is no count")
    return value


def _check(name: str, arm: _Arm) -> None:
    if arm.requests.keys() != arm.timed.keys():
        raise GarbageError(f"{name}: what was counted and what was timed are not the same requests")
    for key, bounds in arm.within.items():
        if max(bounds.values()) > arm.timed.get(key, 0.0):
            raise GarbageError(f"{name}: more answers within a bound than there are")


def _errors(arm: _Arm) -> Tally:
    counted = {key[0]: 0.0 for key in arm.requests if key[0] != _HUNG_UP}
    for (code, *_), value in arm.requests.items():
        if code != _HUNG_UP:
            counted[code] += value
    bad = sum(value for code, value in counted.items() if _SERVER_ERROR.fullmatch(code))
    return Tally(sum(counted.values()), bad)


def _slow(arm: _Arm, seconds: float) -> Tally | None:
    """Return the answers that took longer, or None where the gateway has no such bound."""
    if any(seconds not in arm.within[key] for key in arm.timed):
        return None
    total = sum(arm.timed.values())
    return Tally(total, total - sum(arm.within[key][seconds] for key in arm.timed))
