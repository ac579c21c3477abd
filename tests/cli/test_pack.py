"""A configuration of the policy pack that was named and is not there is an error, never another one."""

from pathlib import Path

import pytest

from local.errors import LocalError
from serinus.cli.pack import pack_configuration
from serinus.cli.stack import Stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    for name in ("dev", "prod"):
        (tmp_path / "policies" / f"{name}.json").write_text("{}")
    return tmp_path


def test_a_stack_has_the_configuration_of_its_name_or_the_defaults(folder: Path) -> None:
    assert pack_configuration(folder, "prod", "prod") == folder / "policies" / "prod.json"
    assert pack_configuration(folder, "mine", "mine") is None


@pytest.mark.parametrize("named", ["prdo", "", "../prod", "prod.json"])
def test_a_name_that_is_none_says_which_there_are(folder: Path, named: str) -> None:
    with pytest.raises(LocalError, match=r"there is no policies/.*\.json; there are: dev, prod"):
        Stack(folder, "mine", {}, named, folder / "log")
