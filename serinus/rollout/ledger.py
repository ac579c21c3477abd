"""The ledger: who changed what, why, and on which evidence, in a chain that shows every later change.

Each entry carries the digest of the one before it, and its own digest covers that. So an edit, a removal, an insertion
or a reorder breaks the chain where it happened. Two things leave a whole chain behind: cutting off the newest entries,
and writing all of them anew. Both show against a digest that was noted elsewhere, such as in a notice.
"""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field

from serinus.rollout.canonical import digest
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.record import Moment, Record, Words
from serinus.rollout.status import Percent
from serinus.rollout.verdict import Verdict

GENESIS = "0" * 64

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="a sha256 as 64 hex digits")]


class Line(Record):
    """What happened. The evidence itself stays outside: only its digest is kept, never prompts or user ids."""

    at: Moment = Field(description="an RFC 3339 time with its zone")
    who: Words = Field(description="a person, or serinus-agent")
    what: Annotated[Kind, Field(strict=False)] = Field(description=", ".join(Kind))
    service: Words = Field(description="the service's name")
    release: str = Field(description="the id of the canary's release")
    old: Percent
    new: Percent
    reason: Words = Field(description="why")
    commit: str = Field(default="", description="the commit that declared it, if one did")
    verdict: Annotated[Verdict, Field(strict=False)] | None = Field(
        default=None, description="the verdict at that moment"
    )
    evidence: Digest | None = None

    @classmethod
    def of(cls, deed: Deed) -> Self:
        """Return the line of a deed, with the digest of its evidence."""
        return cls(
            at=deed.at,
            who=deed.by,
            what=deed.kind,
            service=deed.service,
            release=deed.release,
            old=deed.old,
            new=deed.new,
            reason=deed.reason,
            verdict=deed.verdict,
            evidence=digest(deed.evidence) if deed.evidence else None,
        )


class Entry(Record):
    """A line in its place in the chain. Numbers count from 1."""

    number: int = Field(ge=1, description="an integer from 1")
    deed: Line
    previous: Digest
    digest: Digest

    @classmethod
    def after(cls, previous: Self | None, deed: Line) -> Self:
        """Chain a line to the newest entry, or begin a ledger where there is none."""
        number = previous.number + 1 if previous else 1
        before = previous.digest if previous else GENESIS
        return cls(number=number, deed=deed, previous=before, digest=_digest(number, before, deed))


def verify(entries: Sequence[Entry], known: str | None = None, dropped: int = 0) -> list[str]:
    """Check a ledger, oldest entry first; return one sentence per break, none if it is whole.

    `known` is the digest that some entry had when it was the newest, noted outside of the ledger. `dropped` is how many
    of the oldest entries a full book let go: what the first one that is left follows from can't be checked any more.
    """
    found = []
    before = None if dropped and entries else GENESIS
    for place, entry in enumerate(entries, dropped + 1):
        if entry.number != place:
            found.append(f"entry {entry.number} stands at place {place}: entries were removed, added or moved")
        if before is not None and entry.previous != before:
            found.append(f"entry {entry.number} does not follow from the entry before it")
        if entry.digest != _digest(entry.number, entry.previous, entry.deed):
            found.append(f"entry {entry.number} was edited: its digest does not fit its content")
        before = entry.digest
    if known is not None and known not in {entry.digest for entry in entries}:
        found.append(
            f"no entry has the known digest {known[:12]}…: the newest entries were removed or all were rewritten"
        )
    return found


def _digest(number: int, previous: str, deed: Line) -> str:
    return digest({"number": number, "previous": previous, "deed": deed.document()})
