"""Recordings of rollouts as they are in life, for the tests of the report."""

from datetime import UTC, datetime, timedelta
from typing import Any

from serinus.rollout.ledger import Entry, Line
from serinus.rollout.report import Recording

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
EDGES = (0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 5.0)
# The shares of answers below each edge, of a stable and of a slower canary.
FAST = (0.1, 0.42, 0.7, 0.9, 0.95, 0.985, 0.997, 1.0)
SLOW = (0.05, 0.3, 0.56, 0.8, 0.9, 0.96, 0.99, 1.0)

# At which second, what, the weights, the verdict, who, why.
CUT = [
    (0, "step", 0, 5, None, "mira", "first rung"),
    (600, "approved", 5, 5, "pass", "jo", "the answers read well"),
    (620, "step", 5, 20, "pass", "mira", "errors 0 of 300 against 12 of 5700"),
    (1000, "cut", 20, 0, "fail", "serinus-agent", "errors: 31 of 60 on the canary (51.67%), 2 of 240 on the stable"),
    (1001, "held", 0, 0, "fail", "serinus-agent", "cut: errors"),
]


def entries(deeds: list[tuple[Any, ...]] = CUT, release: str = "v1-4-9f2c11d0") -> list[Entry]:
    """A whole ledger of these deeds."""
    found: list[Entry] = []
    for at, what, old, new, verdict, who, reason in deeds:
        deed = {
            "at": (START + timedelta(seconds=at)).isoformat(),
            "who": who,
            "what": what,
            "service": "chat",
            "release": release,
            "old": old,
            "new": new,
            "reason": reason,
            "verdict": verdict,
        }
        found.append(Entry.after(found[-1] if found else None, Line.model_validate(deed)))
    return found


def arm(requests: float, errors: float, shares: tuple[float, ...]) -> dict[str, Any]:
    buckets = {str(edge): requests * part for edge, part in zip(EDGES, shares, strict=True)}
    tokens = {"inputTokens": 40 * requests, "outputTokens": 120 * requests}
    return {"requests": requests, "errors": errors, "buckets": {**buckets, "+Inf": requests}, **tokens}


def recording(**changed: Any) -> Recording:
    """20 minutes of 10 requests/s; the canary is cut in the 17th."""
    spans = []
    for number in range(-4, 80):
        at = 15 * number
        weight = 0.0 if at < 0 or at >= 1000 else 0.05 if at < 620 else 0.2
        canary, stable = 150 * weight, 150 * (1 - weight)
        away = 300 <= at < 360  # Prometheus was away for a minute
        failed = 0.52 * canary if 975 <= at < 1000 else 0.0
        spans.append(
            {
                "at": (START + timedelta(seconds=at + 15)).isoformat(),
                "canary": arm(canary, failed, SLOW) if canary and not away else {},
                "stable": {} if away else arm(stable, number % 3, FAST),
            }
        )
    document = {
        "service": "chat",
        "canary": "v1-4-9f2c11d0",
        "stable": "v1-3-77aa01be",
        "takenAt": (START + timedelta(hours=1)).isoformat(),
        "spans": spans,
        "entries": [entry.document() for entry in entries()],
        "prices": {"currency": "€", "inputPerMillion": 0.2, "outputPerMillion": 0.8},
    }
    return Recording.model_validate({**document, **changed})
