"""Of a log line only what is known to be harmless is shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.loglines import redacted


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"level": "error", "status": 500, "ttft": 0.5}', '{"level": "error", "status": 500, "ttft": 0.5}'),
        ('{"outcome": "error", "prompt": "my name is Eve"}', '{"outcome": "error"}'),
        ('{"error": "no answer to: my name is Eve"}', "{}"),
        ('{"release": {"prompt": "x"}, "code": true}', "{}"),
        ("torch.OutOfMemoryError: CUDA out of memory", "(torch.OutOfMemoryError, 42 characters)"),
        ("ValueError", "(ValueError, 10 characters)"),
        ("my name is Eve", "(14 characters)"),
        ('["my name is Eve"]', "(18 characters)"),
        ("[" * 100_000, "(100000 characters)"),
    ],
    ids=lambda part: part[:20],
)
def test_a_line_shows_known_keys_or_its_length(line: str, shown: str) -> None:
    assert redacted([line]) == [shown]


@given(st.text(), st.text())
def test_words_of_people_are_never_shown(one: str, other: str) -> None:
    said = f"{one} {other}"
    shown = redacted([json.dumps({"error": said, "level": said, "message": said})])
    assert shown == ["{}"]


def test_empty_lines_are_left_out() -> None:
    assert redacted(["", "  ", "\n"]) == []
