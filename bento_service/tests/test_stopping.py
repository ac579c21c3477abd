"""Stop texts, however the answer is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopping import StopFilter

pytestmark = pytest.mark.usefixtures("no_collection")

LETTERS = st.text("ab", max_size=12)


@given(LETTERS, st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 12), max_size=4))
def test_the_pieces_never_change_what_comes_out(text: str, stops: list[str], cuts: list[int]) -> None:
    filter_ = StopFilter(stops)
    edges = [0, *sorted(cuts), len(text)]
    sent = "".join(filter_.feed(text[start:end]) for start, end in pairwise(edges))
    sent += filter_.rest()
    places = [text.find(stop) for stop in stops if stop in text]
    assert sent == (text[: min(places)] if places else text)
    assert filter_.stopped == bool(places)


def test_the_end_that_may_become_a_stop_text_waits() -> None:
    filter_ = StopFilter(["END"])
    assert filter_.feed("so far E") == "so far "
    assert filter_.feed("N") == ""
    assert filter_.feed("joy") == "ENjoy"
