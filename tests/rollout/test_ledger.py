"""The ledger finds whatever is done to it afterwards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serinus.rollout.canonical import digest
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.ledger import GENESIS, Entry, Line, verify
from serinus.rollout.verdict import Verdict

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def deed(minute: int = 0, **changes: object) -> Line:
    known = {
        "at": START + timedelta(minutes=minute),
        "who": "ada",
        "what": "step",
        "service": "chat",
        "release": "v2-0f3a9c21",
        "old": 5,
        "new": 20,
        "reason": "the step has baked",
        "commit": "9e5fad6",
        "verdict": Verdict.PASS,
        "evidence": digest({"requests": 500}),
    }
    return Line.model_validate({**known, **changes})


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for minute in range(length):
        entries.append(Entry.after(entries[-1] if entries else None, deed(minute)))
    return entries


ledgers = st.integers(1, 12).map(chain)


@given(ledgers)
def test_a_ledger_that_nobody_touched_is_whole(entries: list[Entry]) -> None:
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert verify(entries) == []
    for entry in entries:
        assert verify(entries, known=entry.digest) == []


@given(ledgers)
def test_a_ledger_survives_json(entries: list[Entry]) -> None:
    assert verify([Entry.model_validate_json(entry.model_dump_json(by_alias=True)) for entry in entries]) == []


def test_an_empty_ledger_is_whole_unless_an_entry_is_known() -> None:
    assert verify([]) == []
    assert "newest entries were removed" in verify([], known=GENESIS)[0]


@pytest.mark.parametrize(
    "edit",
    [
        {"at": START - timedelta(days=1)},
        {"who": "eve"},
        {"what": "cut"},
        {"service": "chat-b"},
        {"release": "v3-00000000"},
        {"old": 0},
        {"new": 50},
        {"reason": "none"},
        {"commit": ""},
        {"verdict": None},
        {"evidence": None},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_an_edit_of_any_field_is_found(edit: dict[str, object]) -> None:
    entries = chain(3)
    entries[1] = entries[1].model_copy(update={"deed": deed(1, **edit)})
    assert verify(entries) == ["entry 2 was edited: its digest does not fit its content"]


@given(ledgers, st.data())
def test_an_edit_with_a_new_digest_breaks_the_chain_or_loses_the_known_digest(
    entries: list[Entry], data: st.DataObject
) -> None:
    head = entries[-1].digest
    place = data.draw(st.integers(0, len(entries) - 1))
    before = entries[place - 1] if place else None
    entries[place] = Entry.after(before, deed(place, who="eve"))
    assert verify(entries, known=head) != []


@given(st.integers(2, 12).map(chain), st.data())
def test_a_removal_is_found(entries: list[Entry], data: st.DataObject) -> None:
    head = entries[-1].digest
    del entries[data.draw(st.integers(0, len(entries) - 1))]
    assert verify(entries, known=head) != []


@given(st.integers(2, 12).map(chain), st.data())
def test_a_removal_before_the_newest_is_found_without_help(entries: list[Entry], data: st.DataObject) -> None:
    del entries[data.draw(st.integers(0, len(entries) - 2))]
    assert verify(entries) != []


@given(st.integers(2, 12).map(chain), st.data())
def test_a_reorder_is_found(entries: list[Entry], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(entries).filter(lambda order: order != entries))
    assert verify(shuffled) != []


@given(ledgers, st.data())
def test_an_insertion_is_found(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    entries.insert(place, Entry.after(entries[place - 1] if place else None, deed(99, who="eve")))
    assert verify(entries) != []


@given(ledgers, st.integers(1, 12))
def test_a_lost_head_is_found_where_the_head_is_known(entries: list[Entry], lost: int) -> None:
    assert any("newest entries were removed" in found for found in verify(entries[:-lost], known=entries[-1].digest))


def test_a_ledger_that_was_written_anew_is_found_where_a_digest_is_known() -> None:
    forged = [Entry.after(None, deed(who="eve"))]
    assert verify(forged) == []
    assert "all were rewritten" in verify(forged, known=chain(1)[0].digest)[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("who", ""),
        ("reason", "  "),
        ("what", "sneak"),
        ("new", 101),
        ("evidence", "abc"),
        ("at", "2026-11-21T12:00:00"),
    ],
)
def test_a_deed_without_name_reason_or_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        deed(**{key: value})


@given(st.integers(2, 12).map(chain), st.data())
def test_what_a_full_book_let_go_is_no_break_but_what_is_left_still_hangs_together(
    entries: list[Entry], data: st.DataObject
) -> None:
    dropped = data.draw(st.integers(1, len(entries) - 1))
    assert verify(entries[dropped:], known=entries[-1].digest, dropped=dropped) == []
    assert verify(entries[dropped:], dropped=dropped - 1) != []


def test_a_line_keeps_the_digest_of_a_deeds_evidence_only() -> None:
    done = Deed(Kind.CUT, "chat", "ada", "too slow", START, "v2-0f3a9c21", 20, 0, Verdict.FAIL, {"errors": 7})
    line = Line.of(done)
    assert (line.what, line.who, line.old, line.new, line.verdict) == (Kind.CUT, "ada", 20, 0, Verdict.FAIL)
    assert line.evidence == digest({"errors": 7})
    assert Line.of(replace(done, evidence={})).evidence is None


def test_a_digest_ignores_the_order_of_keys_and_refuses_what_has_no_json() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})
