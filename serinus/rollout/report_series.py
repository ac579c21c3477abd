"""What a report asks Prometheus, and how its answers become the spans of a recording.

The gateway tells requests, failures and latency of both arms: it also sees the answers that never left a pod. The pods
tell tokens, by release. Every query counts what rose in one step, so a point is a span of time. An answer that can't
be read counts as nothing seen; it never counts as nothing failed.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from serinus.rollout.alert_queries import gateway_label, risen, selector
from serinus.rollout.report import MOST_SPANS, Arm, Span

_LEAST_STEP = 15
_SPANS = 240
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LATEST = 4e9  # seconds since 1970 that still are a date
_ANY = "ANY"  # no name has capitals
_PARTS = ("requests", "errors", "buckets", "input_tokens", "output_tokens")


class Place(NamedTuple):
    """Where the series of a rollout are found: the service, and both releases by their ids."""

    namespace: str
    service: str
    canary: str
    stable: str


def step_of(begin: datetime, end: datetime) -> int:
    """Return the seconds of a span: few enough spans to draw, each with enough requests to say something."""
    wanted = (end - begin).total_seconds() / _SPANS
    return max(math.ceil(wanted / _LEAST_STEP) * _LEAST_STEP, _LEAST_STEP)


def queries(place: Place, step: int) -> dict[tuple[str, str], str]:
    """Return the query of each arm's part. Raises ValueError for a name that can't stand in one."""
    for name in place:
        if name and not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a namespace, service or release")
    found = {}
    for arm, release in (("canary", place.canary), ("stable", place.stable)):
        # The stable Ingress keeps its name, whichever release's Service is behind it.
        label = gateway_label(place.namespace, f"{place.service}-stable", _ANY, "http", canary=arm == "canary")
        gateway = f"~{label.replace(_ANY, f'{place.service}-.+')}"
        requests = selector("traefik_service_requests_total", service=gateway)
        failed = selector("traefik_service_requests_total", service=gateway, code="~5..")
        buckets = selector("traefik_service_request_duration_seconds_bucket", service=gateway)
        found[arm, "requests"] = risen(requests, step)
        found[arm, "errors"] = risen(failed, step)
        found[arm, "buckets"] = risen(buckets, step, by="le")
        if release:
            for part, kind in (("input_tokens", "input"), ("output_tokens", "output")):
                tokens = selector("llm_tokens_total", namespace=place.namespace, release=release, type=kind)
                found[arm, part] = risen(tokens, step)
    return found


def spans(answers: Mapping[tuple[str, str], object]) -> list[Span]:
    """Join the answers, one list of series per query, into spans."""
    arms: dict[tuple[float, str], dict[str, Any]] = {}
    for (arm, part), answer in answers.items():
        for series in _dicts(answer):
            edge = _edge(series)
            for at, value in _points(series.get("values")):
                seen = arms.setdefault((at, arm), {})
                if part != "buckets":
                    seen[part] = value
                elif edge:
                    seen.setdefault(part, {})[edge] = value
    moments = sorted({at for at, _ in arms})[:MOST_SPANS]
    return [
        Span(
            at=datetime.fromtimestamp(at, UTC),
            canary=_arm(arms.get((at, "canary"), {})),
            stable=_arm(arms.get((at, "stable"), {})),
        )
        for at in moments
    ]


def _arm(seen: Mapping[str, Any]) -> Arm:
    if "requests" not in seen or "errors" not in seen:
        return Arm()
    # Two queries are not answered in one instant, so failures may be a moment ahead.
    known = {part: seen[part] for part in _PARTS if part in seen}
    return Arm.model_validate({**known, "errors": min(seen["errors"], seen["requests"])})


def _dicts(answer: object) -> list[dict[str, object]]:
    return [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []


def _edge(series: Mapping[str, object]) -> str:
    metric = series.get("metric")
    edge = metric.get("le", "") if isinstance(metric, dict) else ""
    try:
        return str(edge) if float(edge) > 0 else ""
    except (TypeError, ValueError):
        return ""


def _points(values: object) -> Iterator[tuple[float, float]]:
    for point in values if isinstance(values, list) else []:
        if isinstance(point, list | tuple) and len(point) == 2:
            at, value = _number(point[0]), _number(point[1])
            if at is not None and 0 < at < _LATEST and value is not None:
                yield at, value


def _number(text: object) -> float | None:
    try:
        value = float(text) if isinstance(text, str | int | float) else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
