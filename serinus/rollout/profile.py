"""Ladders with names, for those who don't want to think about rungs. `serinus:ladder` takes a name or a list."""

import json
from collections.abc import Mapping
from typing import Any

_MINUTE = 60


def _rung(weight: int, minutes: float = 0, *, approval: bool = False) -> dict[str, Any]:
    return {"weight": weight, "bakeSeconds": round(minutes * _MINUTE), "approval": approval}


PROFILES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    # What Pulumi.yaml declares where a stack says nothing.
    "default": (_rung(5, 10), _rung(20, 30), _rung(50, 60), _rung(100, approval=True)),
    # For a service whose errors cost much: the first users are few, and a person looks twice.
    "cautious": (
        _rung(1, 30),
        _rung(5, 60),
        _rung(10, 60),
        _rung(25, 120),
        _rung(50, 240, approval=True),
        _rung(100, approval=True),
    ),
    "tens": (*(_rung(weight, 10) for weight in range(10, 100, 10)), _rung(100, approval=True)),
    # For demos and tests: nobody learns anything about a canary in seconds.
    "fast": (_rung(5, 0.05), _rung(20, 0.05), _rung(50, 0.05), _rung(100)),
}


def named(ladder: object) -> object:
    """Return the rungs of a profile's name, or of a list that is written as JSON.

    Anything else comes back as it is, to be checked as a ladder.
    """
    if not isinstance(ladder, str):
        return ladder
    if ladder in PROFILES:
        return [dict(rung) for rung in PROFILES[ladder]]
    try:
        return json.loads(ladder)
    except json.JSONDecodeError:
        return ladder
