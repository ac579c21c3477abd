"""The pack, as the engine runs it, says of each change what Python says, wherever it can know."""

from pathlib import Path

from tests.parity_cases import PARITY
from tests.parity_readers import pack_answers


def test_the_pack_says_of_each_change(tmp_path: Path) -> None:
    answers = list(pack_answers(PARITY, tmp_path))
    assert len(answers) >= 30
    assert [case.name for case, refused in answers if refused != bool(case.codes)] == []
