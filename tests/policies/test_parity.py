"""The pack, as the engine runs it, says of each change what Python says, rule by rule."""

from pathlib import Path

from tests.parity_cases import PARITY
from tests.parity_readers import pack_answers, pack_answers_to_swaps, pack_codes
from tests.swap_cases import SWAPS


def test_the_pack_says_of_each_change(tmp_path: Path) -> None:
    answers = list(pack_answers(PARITY, tmp_path))
    assert len(answers) == len(PARITY)
    assert [(case.name, found) for case, found in answers if found != pack_codes(case)] == []


def test_the_pack_says_of_each_swap(tmp_path: Path) -> None:
    answers = list(pack_answers_to_swaps(SWAPS, tmp_path))
    assert [case.name for case, refused in answers if refused != bool(case.codes)] == []
