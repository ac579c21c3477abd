"""Which release may become the stable one: the swap at the end of a rollout, and the way back.

A change of the stable Ingress moves all of its users at once, past every rung. So it may only go to the release that
they are on already: the canary at 100 %. Or back: to the release that was the stable one before, as long as the Ingress
remembers it. The way back is a rollback and is never asked anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from serinus.rollout.rules import (
    BACKEND,
    CANARY_BACKEND,
    OLD,
    SWAP_RULES,
    SWAP_STATUS_RULES,
    WEIGHT_SEEN,
    Facts,
    refused,
)
from serinus.rollout.share import EVERYTHING
from serinus.rollout.status import Status
from serinus.rollout.step import Declared, Freshness, status_facts
from serinus.rollout.violation import Violation

PREVIOUS_NOTE = "serinus.dev/previous"
"""The annotation of the stable Ingress with the Service that it may go back to."""

_FRESHNESS = Freshness()
_ID_SUFFIX = len("-0f3a9c21")


def backend_of(service: str, release: str) -> str:
    """Return the name of the Service of a release, given by its id; empty for no release."""
    return f"{service}-{release[:-_ID_SUFFIX]}" if len(release) > _ID_SUFFIX else ""


@dataclass(frozen=True, slots=True)
class Stable:
    """The stable Ingress: the Services behind it, and the one that it may go back to, empty for none."""

    backends: tuple[str, ...]
    previous: str = ""

    @classmethod
    def of(cls, backends: tuple[str, ...], annotations: Mapping[str, str]) -> "Stable":
        """Read an Ingress."""
        return cls(backends, str(annotations.get(PREVIOUS_NOTE, "")))


def newcomers(before: Stable, after: Stable) -> list[str]:
    """Return the Services that users would be moved to, without those of the way back."""
    return [one for one in after.backends if one not in before.backends and one != before.previous]


def check_previous(before: Stable, after: Stable) -> list[Violation]:
    """Check that what the Ingress remembers is what it was: else the way back would be a way anywhere."""
    earned = ("", before.previous, *(before.backends if newcomers(before, after) else ()))
    if after.previous in earned:
        return []
    return [
        Violation(
            "previous-never-stable",
            f"{after.previous} is not the release that this change replaces",
            "Set serinus:previous in the swap itself, to the release that was stable; or to nothing.",
        )
    ]


def check_swap(
    declared: Declared, status: Status | Violation, before: Stable, after: Stable, now: datetime
) -> list[Violation]:
    """Check a change of the stable Ingress; an empty list allows it.

    `status` is what `read_status` returned; `now` has a time zone.
    """
    forged = check_previous(before, after)
    canary = backend_of(declared.service, declared.canary)
    named: Facts = {BACKEND: _named(newcomers(before, after), canary), CANARY_BACKEND: canary}
    if not named[BACKEND]:
        return forged
    if isinstance(status, Violation):
        return [*refused(SWAP_RULES[:1], named), status, *forged]
    facts = {**named, OLD: EVERYTHING, **status_facts(declared, status, EVERYTHING, EVERYTHING, now, _FRESHNESS)}
    return [*refused((*SWAP_RULES, *SWAP_STATUS_RULES), facts), *forged]


def check_unwatched_swap(canary: tuple[str, ...], share: int, before: Stable, after: Stable) -> list[Violation]:
    """Check a change of the stable Ingress of a service that nobody watches.

    `canary` are the Services behind the canary Ingress, `share` is its share in percent.
    """
    only = canary[0] if len(canary) == 1 else ""
    facts: Facts = {BACKEND: _named(newcomers(before, after), only), CANARY_BACKEND: only, WEIGHT_SEEN: share}
    return [*(refused(SWAP_RULES, facts) if facts[BACKEND] else []), *check_previous(before, after)]


def _named(comers: list[str], canary: str) -> str:
    """Name one of the newcomers, one that is not the canary if there is any; empty for none."""
    return next((one for one in comers if one != canary), canary if comers else "")
