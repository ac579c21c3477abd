"""The ledger in its ConfigMaps: nothing is lost by a full book, and nothing that is done to it goes unseen."""

import json
from typing import Any

import pytest

from serinus.rollout.book import check, key_of, read_book, size, with_evidence, write
from serinus.rollout.canonical import digest
from tests.rollout.test_ledger import deed


def written(count: int, most_bytes: int = 800_000) -> tuple[dict[str, str], dict[str, str] | None]:
    """A book after so many deeds, and the old one."""
    data: dict[str, str] = {}
    old: dict[str, str] | None = None
    for minute in range(count):
        done = write(data, deed(minute % 60, evidence=digest({"minute": minute})), most_bytes)
        data, old = done.book, done.old if done.old is not None else old
    return data, old


def test_a_book_reads_as_it_was_written() -> None:
    data, old = written(12)
    checked = check(data, old)
    assert [entry.number for entry in checked.entries] == list(range(1, 13))
    assert (checked.dropped, checked.breaks) == (0, [])


def test_an_empty_ledger_is_whole() -> None:
    assert check(None, None) == ([], 0, [])


def test_a_full_book_becomes_the_old_one_and_the_chain_goes_on() -> None:
    data, old = written(40, most_bytes=6000)
    assert old is not None
    assert size(data) <= 6000
    checked = check(data, old)
    assert checked.breaks == []
    assert checked.entries[-1].number == 40
    assert checked.entries[0].number == checked.dropped + 1 > 1


def test_a_book_that_was_turned_only_half_way_is_whole() -> None:
    data, _ = written(5)
    done = write(data, deed(), most_bytes=size(data))
    # The old book is written, then the writer dies: both hold the same entries.
    assert check(data, done.old).breaks == []
    assert len(check(data, done.old).entries) == 5
    assert check(done.book, done.old).breaks == []
    assert len(check(done.book, done.old).entries) == 6


def edited(data: dict[str, str], number: int, **changes: Any) -> dict[str, str]:
    entry = json.loads(data[key_of(number)])
    entry["deed"] |= changes
    return data | {key_of(number): json.dumps(entry)}


def without(data: dict[str, str], number: int) -> dict[str, str]:
    return {key: text for key, text in data.items() if key != key_of(number)}


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: edited(data, 2, who="eve"),
        lambda data: edited(data, 5, reason="none"),
        lambda data: without(data, 1),
        lambda data: without(data, 3),
        lambda data: data | {key_of(2): data[key_of(3)], key_of(3): data[key_of(2)]},
        lambda data: data | {key_of(9): data[key_of(3)]},
        lambda data: data | {key_of(3): "garbage"},
        lambda data: data | {key_of(3): "{}"},
        lambda data: data | {"note": data[key_of(3)]},
    ],
    ids=["edited", "edited last", "first gone", "middle gone", "swapped", "copied", "garbage", "empty", "renamed"],
)
def test_whatever_is_done_to_a_book_is_found(harm: Any) -> None:
    data, _ = written(5)
    assert check(harm(data), None).breaks != []


def test_a_lost_head_is_found_where_its_digest_is_known() -> None:
    data, _ = written(5)
    head = read_book(data).entries[-1].digest
    assert check(data, None, known=head).breaks == []
    assert check(without(data, 5), None, known=head).breaks != []


def test_a_broken_book_is_written_on() -> None:
    data, _ = written(3)
    done = write(data | {key_of(2): "garbage"}, deed())
    assert done.entry.number == 4
    assert len(check(done.book, None).breaks) > 0


def test_a_reason_that_fills_the_book_is_shortened() -> None:
    assert len(write({}, deed(reason="x" * 1_000_000)).entry.deed.reason) == 1000


def test_evidence_that_was_edited_is_found() -> None:
    data, _ = written(3)
    kept = with_evidence({}, 3, {"minute": 2})
    assert check(data, None, kept).breaks == []
    assert check(data, None, {key_of(3): '{"minute": 7}'}).breaks == [
        "the evidence of entry 3 was edited: its digest does not fit"
    ]
    assert check(data, None, {key_of(3): "garbage"}).breaks != []


def test_evidence_is_bounded_in_number_and_size() -> None:
    kept: dict[str, str] = {}
    for number in range(1, 20):
        kept = with_evidence(kept, number, {"number": number})
    assert sorted(kept) == [key_of(number) for number in range(10, 20)]
    assert key_of(20) not in with_evidence(kept, 20, {"log": "x" * 70_000})
