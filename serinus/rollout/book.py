"""Where the ledger stands in Kubernetes: a ConfigMap with one key per entry, and a second one for what it outgrew.

The agent and people write it, each with the version that they read as a precondition, so that no entry is lost and no
chain forks. Nothing is ever refused for the state of the book: a broken one is written on, and `verify` says so.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from serinus.rollout.canonical import digest
from serinus.rollout.ledger import Entry, Line, verify

# A ConfigMap holds 1 MiB; some of it is for metadata. Some 1,500 entries.
MOST_BYTES = 800 * 1024
_LONGEST_REASON = 1000
_KEY = re.compile(r"[0-9]{8}")


def book_name(service: str) -> str:
    """Return the name of the ConfigMap with the newest entries."""
    return f"{service}-ledger"


def old_book_name(service: str) -> str:
    """Return the name of the ConfigMap with the entries before those; what it held before them is let go."""
    return f"{service}-ledger-old"


def evidence_name(service: str) -> str:
    """Return the name of the ConfigMap with the newest evidence snapshots."""
    return f"{service}-evidence"


class Book(NamedTuple):
    """What a ConfigMap holds of the ledger, in the order of the keys, and which keys hold no entry."""

    entries: list[Entry]
    mistakes: list[str]


class Written(NamedTuple):
    """What to write: the old book first where there is one, then the book. `entry` is the new one."""

    entry: Entry
    book: dict[str, str]
    old: dict[str, str] | None


def key_of(number: int) -> str:
    """Return the key of an entry, such as 00000042: so keys sort as numbers do."""
    return f"{number:08d}"


def read_book(data: Mapping[str, str] | None) -> Book:
    """Read the data of one ConfigMap."""
    entries, mistakes = [], []
    for key, text in sorted((data or {}).items()):
        try:
            entry = Entry.model_validate_json(text)
        except ValidationError:
            mistakes.append(f"the key {key} holds no entry")
            continue
        if key != key_of(entry.number):
            mistakes.append(f"the key {key} holds the entry {entry.number}")
        entries.append(entry)
    return Book(entries, mistakes)


def write(data: Mapping[str, str] | None, line: Line, most_bytes: int = MOST_BYTES) -> Written:
    """Chain a line to the newest entry of a book. A full book becomes the old one, and a new one begins."""
    held = dict(data or {})
    entries = read_book(held).entries
    newest = max(entries, key=lambda entry: entry.number, default=None)
    shortened = line.model_copy(update={"reason": line.reason[:_LONGEST_REASON]})
    entry = Entry.after(newest, shortened)
    added = {key_of(entry.number): json.dumps(entry.document(), ensure_ascii=False)}
    if size(held) + size(added) <= most_bytes:
        return Written(entry, held | added, None)
    # The newest entry stays in both, so that the chain goes on from what the new book itself holds.
    kept = {key_of(newest.number): held[key_of(newest.number)]} if newest and key_of(newest.number) in held else {}
    return Written(entry, kept | added, held)


def size(data: Mapping[str, str]) -> int:
    """Return the bytes that these keys and values take."""
    return sum(len(key.encode()) + len(text.encode()) for key, text in data.items())


class Checked(NamedTuple):
    """The whole ledger: its entries, oldest first, how many older ones were let go, and every break."""

    entries: list[Entry]
    dropped: int
    breaks: list[str]


def check(
    data: Mapping[str, str] | None,
    old: Mapping[str, str] | None,
    evidence: Mapping[str, str] | None = None,
    known: str | None = None,
) -> Checked:
    """Join both books and check them, with the evidence that is still kept."""
    newer, older = read_book(data), read_book(old)
    seen = {entry.digest for entry in newer.entries}
    # A rotation that was interrupted leaves entries in both books.
    entries = [entry for entry in older.entries if entry.digest not in seen] + newer.entries
    # Only a full book lets entries go, and then there is an old one.
    dropped = older.entries[0].number - 1 if older.entries else 0
    breaks = [*older.mistakes, *newer.mistakes, *verify(entries, known, dropped)]
    by_key = {key_of(entry.number): entry for entry in entries}
    for key, text in sorted((evidence or {}).items()):
        if _KEY.fullmatch(key) and key in by_key and _digest_of(text) != by_key[key].deed.evidence:
            breaks.append(f"the evidence of entry {int(key)} was edited: its digest does not fit")
    return Checked(entries, dropped, breaks)


def _digest_of(text: str) -> str:
    try:
        return digest(json.loads(text))
    except ValueError:
        return ""


def with_evidence(
    data: Mapping[str, str] | None, number: int, evidence: Mapping[str, Any], most: int = 10, most_bytes: int = 65_536
) -> dict[str, str]:
    """Add the evidence of an entry, and let the oldest go beyond `most`.

    Evidence of more than `most_bytes` is left out: its digest is in the ledger, and a part of it would not fit that.
    """
    held = {key: text for key, text in (data or {}).items() if _KEY.fullmatch(key)}
    text = json.dumps(evidence, ensure_ascii=False, sort_keys=True)
    if len(text.encode()) <= most_bytes:
        held[key_of(number)] = text
    return dict(sorted(held.items())[-most:])
