"""What a report is made of: the counts of both arms over time and the ledger, recorded as one JSON document.

A recording needs neither the cluster nor Prometheus any more. It can be kept with the change that it belongs to, and
shown again when both are gone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from serinus.rollout.deed import Kind
from serinus.rollout.ledger import Entry
from serinus.rollout.record import Moment, Record

Count = Annotated[float, Field(ge=0, description="a number, 0 or more")]

MOST_SPANS = 2000


def _an_edge(text: str) -> str:
    # Also refuses "nan", which compares with nothing.
    if not float(text) > 0:
        raise ValueError(f"the edge {text} of a bucket is no time above 0")
    return text


# As Prometheus writes it, such as 0.5 or +Inf.
Edge = Annotated[str, AfterValidator(_an_edge)]


class Arm(Record):
    """What one arm did in a span of time. Counts come from rates, so they need not be whole.

    `buckets` are cumulative: how many answers took at most so many seconds, with +Inf for all of them.
    """

    requests: Count = 0.0
    errors: Count = 0.0
    buckets: dict[Edge, Count] = Field(default_factory=dict)
    input_tokens: Count = 0.0
    output_tokens: Count = 0.0

    @property
    def cumulative(self) -> dict[float, float]:
        """The buckets by their edges in seconds."""
        return {float(edge): count for edge, count in self.buckets.items()}

    @classmethod
    def of(cls, parts: "Iterable[Arm]") -> Self:
        """Add arms up."""
        all_of_them = list(parts)
        edges = sorted({edge for arm in all_of_them for edge in arm.buckets}, key=float)
        return cls(
            requests=sum(arm.requests for arm in all_of_them),
            errors=sum(arm.errors for arm in all_of_them),
            buckets={edge: sum(arm.buckets.get(edge, 0.0) for arm in all_of_them) for edge in edges},
            input_tokens=sum(arm.input_tokens for arm in all_of_them),
            output_tokens=sum(arm.output_tokens for arm in all_of_them),
        )


class Span(Record):
    """What both arms did until `at`, since the span before."""

    at: Moment = Field(description="an RFC 3339 time with its zone")
    canary: Arm = Arm()
    stable: Arm = Arm()


class Prices(Record):
    """What a million tokens cost, in one currency throughout; 0 where that is not known."""

    currency: str = Field(default="", max_length=8, description="a sign such as € or USD")
    input_per_million: Count = 0.0
    output_per_million: Count = 0.0

    def of(self, arm: Arm) -> float:
        """Return the cost of an arm's tokens."""
        millions = arm.input_tokens * self.input_per_million + arm.output_tokens * self.output_per_million
        return millions / 1_000_000

    @property
    def known(self) -> bool:
        """Whether costs say anything."""
        return self.input_per_million > 0 or self.output_per_million > 0


class Recording(Record):
    """One rollout of one service: the canary's release and the stable's, by their ids, over time.

    `breaks` are what the ledger's check found; `entries` are of this rollout alone.
    """

    service: str
    canary: str
    stable: str
    taken_at: Moment = Field(description="an RFC 3339 time with its zone")
    spans: Annotated[tuple[Span, ...], Field(strict=False, max_length=MOST_SPANS)] = ()
    entries: Annotated[tuple[Entry, ...], Field(strict=False)] = ()
    breaks: Annotated[tuple[str, ...], Field(strict=False)] = ()
    prices: Prices = Prices()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(later.at <= earlier.at for earlier, later in pairwise(self.spans)):
            raise ValueError("the spans of a recording follow one another in time")
        return self

    def coarser(self, most: int) -> list[Span]:
        """Return at most so many spans, each of them several of the recording's: few requests make wide intervals."""
        size = -(-len(self.spans) // most) or 1
        parts = [self.spans[place : place + size] for place in range(0, len(self.spans), size)]
        return [
            Span(
                at=part[-1].at,
                canary=Arm.of(span.canary for span in part),
                stable=Arm.of(span.stable for span in part),
            )
            for part in parts
        ]

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """The first and the last moment that the recording tells of."""
        moments = [span.at for span in self.spans] + [entry.deed.at for entry in self.entries] or [self.taken_at]
        return min(moments), max(moments)


def of_rollout(entries: Iterable[Entry], release: str = "") -> tuple[str, list[Entry]]:
    """Return the release, the newest one where none is named, and the entries of its last rollout.

    A release that was cut may be tried again: its rollouts are told apart by the first step from 0, which begins one.
    """
    all_of_them = list(entries)
    named = release or next((entry.deed.release for entry in reversed(all_of_them) if entry.deed.release), "")
    own = [entry for entry in all_of_them if entry.deed.release == named]
    begins = [place for place, entry in enumerate(own) if entry.deed.what is Kind.STEP and entry.deed.old == 0]
    return named, own[begins[-1] :] if begins else own


def hours_of(own: Sequence[Entry], entries: Iterable[Entry]) -> tuple[datetime | None, datetime | None]:
    """Return when the gateway's canary became this rollout's, and when it became another's; None for open ends.

    `own` are the rollout's entries, `entries` are the whole ledger's.
    """
    later = (
        entry.deed.at
        for entry in entries
        if entry.number > own[-1].number and entry.deed.what is Kind.STEP and entry.deed.old == 0
    )
    return None if own[0].deed.old else own[0].deed.at, min(later, default=None)


def within(spans: Iterable[Span], hours: tuple[datetime | None, datetime | None], step: int) -> list[Span]:
    """Leave out what another canary did: the gateway counts canaries, and does not name their releases.

    Each span is of `step` seconds. Its moment was asked for in whole seconds.
    """
    begin, end = hours
    second = timedelta(seconds=1)
    return [
        span
        if (begin is None or span.at - timedelta(seconds=step) >= begin - second)
        and (end is None or span.at <= end + second)
        else span.model_copy(update={"canary": Arm()})
        for span in spans
    ]
