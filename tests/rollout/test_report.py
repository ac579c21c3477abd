"""A recording is kept and read again as it was, and a page of it is whole, harmless, and says how it ended."""

import re
import xml.etree.ElementTree as ET
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from serinus.rollout.report import Recording, Span, hours_of, of_rollout, within
from serinus.rollout.report_page import page
from tests.rollout.recordings import CUT, START, entries, recording

_EMPTY = {"meta", "br"}
_HOSTILE = "</td><script>alert(1)</script><img src=x onerror='alert(2)'>\"&\u202egnp.exe\x00\x1b[31m\n# x"


class Parsed(HTMLParser):
    """The page as a browser's parser takes it: its elements, the text in each, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.cells and {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data

    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]


def test_a_recording_survives_being_kept() -> None:
    assert Recording.model_validate_json(recording().model_dump_json(by_alias=True)) == recording()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"spans": [{"at": START.isoformat()}] * 2}, "follow one another"),
        ({"spans": [{"at": START.isoformat(), "canary": {"requests": -1}}]}, "requests"),
        ({"spans": [{"at": START.isoformat(), "canary": {"buckets": {"nan": 1}}}]}, "no time above 0"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_recording_that_makes_no_sense_is_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        recording(**changed)


def test_coarser_spans_lose_no_request() -> None:
    whole, coarse = recording().spans, recording().coarser(10)
    assert len(coarse) <= 10
    assert sum(span.stable.requests for span in coarse) == pytest.approx(sum(span.stable.requests for span in whole))
    assert coarse[-1].at == whole[-1].at
    assert recording(spans=[]).coarser(10) == list[Span]()


def test_the_newest_rollout_of_a_release_begins_with_its_last_first_step() -> None:
    again = [(at + 5000, *rest) for at, *rest in CUT]
    ledger = [*entries(), *entries(again)]
    release, found = of_rollout(ledger)
    assert release == "v1-4-9f2c11d0"
    assert [entry.deed.at for entry in found] == [entry.deed.at for entry in ledger[5:]]


def test_another_release_can_be_named_and_an_unknown_one_has_nothing() -> None:
    ledger = [*entries(release="v1-5"), *entries()]
    assert of_rollout(ledger, "v1-5")[1] == ledger[:5]
    assert of_rollout(ledger, "v9") == ("v9", [])
    assert of_rollout([]) == ("", [])


@pytest.mark.parametrize(
    ("deeds", "outcome"),
    [
        (CUT, "Cut at 20 % after 16 min"),
        (CUT[:3], "At 20 % since 10 min after the first step"),
        ([*CUT[:3], (1200, "step", 20, 0, None, "mira", "not today")], "Taken back from 20 % after 20 min"),
        ([*CUT[:3], (9000, "swap", 100, 0, "pass", "mira", "done")], "The stable release after 2 h 30 min"),
        (CUT[:1], "At 5 % since 0 s after the first step"),
        ([], "No step is on record"),
    ],
)
def test_the_page_says_first_how_it_ended(deeds: list[tuple[Any, ...]], outcome: str) -> None:
    shown = Parsed(page(recording(entries=[entry.document() for entry in entries(deeds)])))
    assert outcome in shown.text


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    text = page(recording())
    shown = Parsed(text)
    assert shown.open == []
    assert {tag for tag, _ in shown.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    assert not re.search(r"https?://|@import|url\(", text)
    addresses = [attrs.get("href", "") for _, attrs in shown.tags if "href" in attrs]
    assert addresses
    assert all(address and address[0] == "#" and address[1:] in shown.ids() for address in addresses)


def test_every_chart_says_in_words_and_in_a_table_what_it_shows() -> None:
    text = page(recording())
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 5
    for chart in charts:
        root = ET.fromstring(chart)  # noqa: S314 (our own text)
        says = [root.find(f".//*[@id='{name}']") for name in root.attrib["aria-labelledby"].split()]
        assert [one.tag for one in says if one is not None and one.text] == ["title", "desc"]
    assert text.count("<details><summary>The same as a table</summary>") == len(charts)
    shown = Parsed(text)
    assert len(set(shown.ids())) == len(shown.ids())


def test_decisions_tell_who_and_why_and_stand_at_their_moments() -> None:
    shown = Parsed(page(recording()))
    assert ["3", "2026-11-21 12:10:20", "step", "5 % → 20 %", "pass", "mira", CUT[2][6]] in shown.cells
    assert ["4", "2026-11-21 12:16:40", "cut", "20 % → 0 %", "fail", "serinus-agent", CUT[3][6]] in shown.cells


def test_both_arms_are_compared_over_the_time_that_they_share() -> None:
    shown = Parsed(page(recording()))
    (requests,) = [cells for cells in shown.cells if cells[0] == "requests"]
    stable = sum(span.stable.requests for span in recording().spans if span.canary.requests)
    assert requests[1] == f"{stable:,.0f}"


def test_a_minute_that_was_not_seen_is_a_gap_and_not_a_line() -> None:
    chart = re.findall(r"<svg.*?</svg>", page(recording()), re.DOTALL)[1]
    stable = re.findall(r'<path class="line stable" d="([^"]*)"', chart)
    assert len(stable) == 2
    ends = [[float(x) for x in re.findall(r"[ML]([\d.]+),", path)] for path in stable]
    assert ends[0][-1] < ends[1][0]


def test_lines_go_forward_in_time_within_the_chart() -> None:
    for path in re.findall(r'd="(M[^"]*)"', page(recording())):
        numbers = [float(x) for x in re.findall(r"[MLH]([\d.]+)", path)]
        assert all(before <= after for before, after in pairwise(numbers))
        assert 0 <= numbers[0] <= numbers[-1] <= 860


@pytest.mark.parametrize("field", ["service", "canary", "stable", "breaks", "reason", "who", "currency"])
def test_text_from_outside_stays_text(field: str) -> None:
    own = list(CUT[0])
    changed: dict[str, Any] = {field: _HOSTILE} if field in ("service", "canary", "stable") else {}
    if field == "breaks":
        changed = {"breaks": [_HOSTILE]}
    elif field == "currency":
        changed = {"prices": {"currency": "<b>&\x00", "inputPerMillion": 1.0}}
    elif field in ("who", "reason"):
        own[{"who": 5, "reason": 6}[field]] = _HOSTILE
        changed = {"entries": [entry.document() for entry in entries([tuple(own)])]}
    shown, plain = Parsed(page(recording(**changed))), Parsed(page(recording()))
    assert shown.open == []
    assert {tag for tag, _ in shown.tags} <= {tag for tag, _ in plain.tags} | {"li"}
    assert all(not key.startswith("on") for _, attrs in shown.tags for key in attrs)
    text = "".join(shown.text)
    assert ("<script>alert(1)</script>" in text) == (field != "currency")
    assert not {"\u202e", "\x00", "\x1b"} & set(text)


@settings(max_examples=40)
@given(st.text(), st.text(), st.text(min_size=1))
def test_no_text_breaks_the_page(service: str, stable: str, sentence: str) -> None:
    shown = Parsed(page(recording(service=service, stable=stable, breaks=[sentence], spans=[])))
    assert shown.open == []


def test_a_broken_ledger_is_told_and_a_whole_one_names_its_newest_digest() -> None:
    assert "The ledger is not whole:" in page(recording(breaks=["entry 2 was edited"]))
    assert recording().entries[-1].digest in page(recording())


def test_without_counts_the_page_has_decisions_and_says_that_nothing_is_known() -> None:
    text = page(recording(spans=[]))
    assert "No data is not health." in text
    assert text.count("<svg") == 1


def test_without_anything_there_still_is_a_page() -> None:
    shown = Parsed(page(recording(spans=[], entries=[], canary="", stable="")))
    assert shown.open == []
    assert "The ledger has none." in shown.text


def test_one_single_span_makes_a_page() -> None:
    one = {"at": START.isoformat(), "canary": {"requests": 1.0, "errors": 1.0}, "stable": {"requests": 3.0}}
    shown = Parsed(page(recording(spans=[one], entries=[])))
    assert shown.open == []


def test_a_rollout_of_weeks_makes_a_page_with_few_marks_of_time() -> None:
    long = [{"at": (START + timedelta(days=day)).isoformat(), "stable": {"requests": 9.0}} for day in range(120)]
    ticks = re.findall(r'text-anchor="middle">', page(recording(spans=long, entries=[])))
    assert len(ticks) < 200


def test_what_another_canary_did_is_not_counted() -> None:
    ledger = entries([(-900, "step", 0, 20, None, "mira", "before"), (-400, "cut", 20, 0, None, "a", "b")], "v1-3-aa")
    ledger += entries(CUT) + entries([(1100, "step", 0, 5, None, "mira", "the next")], "v1-5-bb")
    ledger = [entry.model_copy(update={"number": number}) for number, entry in enumerate(ledger, 1)]
    _, own = of_rollout(ledger, "v1-4-9f2c11d0")
    hours = hours_of(own, ledger)
    assert hours == (START, START + timedelta(seconds=1100))
    busy = [{"at": (START + timedelta(seconds=15 * n)).isoformat(), "canary": {"requests": 1}} for n in range(-9, 90)]
    found = within(recording(spans=busy).spans, hours, 15)
    counted = [span.at for span in found if span.canary.requests]
    assert (counted[0], counted[-1]) == (START + timedelta(seconds=15), START + timedelta(seconds=1095))
    # Of a ledger that has lost its beginning nobody knows when the canary began.
    assert hours_of(own[2:], ledger)[0] is None
