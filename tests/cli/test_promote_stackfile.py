"""One number changes in the stack's file, and every other byte stays."""

import difflib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from local.errors import LocalError
from local.places import ROOT
from serinus.cli.promote.stackfile import StackFile, Value

PROJECT = "name: serinus\nruntime: python\nconfig:\n  service:\n    default: chat\n  retain:\n    default: []\n"
COMMENTED = """# The stack.
config:
  pulumi:disable-default-providers: [kubernetes]   # a list of one
  serinus:stable: v1
  serinus:canary:  'v2'
  serinus:weight: "5"  # the number
  serinus:ladder:
    - {weight: 5, bakeSeconds: 60}
    - weight: 100
encryptionsalt: v1:abc=:v1:def:ghi=
"""


def file(tmp_path: Path, text: str) -> StackFile:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "Pulumi.dev.yaml").write_bytes(text.encode())
    return StackFile(tmp_path, "dev")


def moved(before: str, after: str) -> list[str]:
    """The lines that differ, as a reviewer sees them."""
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"weight": 20}, ['-   serinus:weight: "5"  # the number\n', '+   serinus:weight: "20"  # the number\n']),
        ({"canary": "v3"}, ["-   serinus:canary:  'v2'\n", "+   serinus:canary:  'v3'\n"]),
        ({"canary": ""}, ["-   serinus:canary:  'v2'\n", "+   serinus:canary:  ''\n"]),
        ({"stable": "v2"}, ["-   serinus:stable: v1\n", "+   serinus:stable: v2\n"]),
        ({"stable": ""}, ["-   serinus:stable: v1\n", '+   serinus:stable: ""\n']),
        ({"retain": ["v1"]}, ["+   serinus:retain: [v1]\n"]),
        ({"previous": "1.5"}, ['+   serinus:previous: "1.5"\n']),
    ],
)
def test_only_the_line_that_says_it_changes(tmp_path: Path, changes: dict[str, Value], lines: list[str]) -> None:
    stack = file(tmp_path, COMMENTED)
    assert moved(COMMENTED, stack.changed(changes)) == lines


@pytest.mark.parametrize(
    ("written", "value", "after"),
    [
        ("[]", ["v1"], "[v1]"),
        ('["v1"]', ["v2", "v1"], '["v2", "v1"]'),
        ("['v1', 'v0']  # old", ["v1"], "['v1']  # old"),
        ("\n    - v0   # kept long\n    - v1", ["v2", "v0"], "\n    - v2\n    - v0   # kept long"),
        ("\n  - v0", [], " []"),
    ],
)
def test_a_list_keeps_its_style(tmp_path: Path, written: str, value: list[str], after: str) -> None:
    space = "" if written.startswith("\n") else " "
    text = f"config:\n  serinus:retain:{space}{written}\n  serinus:weight: 0\n"
    wanted = (
        f"config:\n  serinus:retain:{'' if after.startswith((chr(10), ' ')) else ' '}{after}\n  serinus:weight: 0\n"
    )
    assert file(tmp_path, text).changed({"retain": value}) == wanted


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_ends_of_lines_stay_what_they_are(tmp_path: Path, ending: str, last: bool) -> None:
    text = ending.join(["config:", "  serinus:weight: 5", "  serinus:stable: v1"]) + (ending if last else "")
    stack = file(tmp_path, text)
    assert stack.changed({"weight": 20}) == text.replace("5", "20")
    added = stack.changed({"canary": "v2"})
    assert added.count(ending) == added.count("\n")
    assert yaml.safe_load(added)["config"]["serinus:canary"] == "v2"


@pytest.mark.parametrize(
    "text",
    [
        "config: {serinus:weight: 5}\n",
        "config:\n  serinus:weight: &n 5\n  serinus:other: *n\n",
        "config:\n  serinus:weight: 5\n  serinus:weight: 20\n",
        "encryptionsalt: x\n",
    ],
)
def test_what_no_line_can_change_is_left_alone_and_told(tmp_path: Path, text: str) -> None:
    stack = file(tmp_path, text)
    with pytest.raises(LocalError, match=r"no line of it can be changed") as told:
        stack.changed({"weight": 50})
    assert "serinus:weight: 50" in told.value.remedy
    assert stack.text() == text


@given(old=st.integers(0, 100), new=st.integers(0, 100), quote=st.sampled_from(["", "'", '"']))
def test_any_number_becomes_any_other_in_its_own_quotes(
    tmp_path_factory: pytest.TempPathFactory, old: int, new: int, quote: str
) -> None:
    text = f"# {old}\nconfig:\n  serinus:weight: {quote}{old}{quote} # {old}\n"
    after = file(tmp_path_factory.mktemp("stack"), text).changed({"weight": new})
    assert after == f"# {old}\nconfig:\n  serinus:weight: {quote}{new}{quote} # {old}\n"


def test_the_committed_stacks_can_be_promoted(tmp_path: Path) -> None:
    for path in sorted(ROOT.glob("Pulumi.*.yaml")):
        before = path.read_text()
        stack = file(tmp_path, before)
        after = stack.changed({"stable": "v2", "canary": "", "weight": 0, "retain": ["v1"]})
        assert len(moved(before, after)) <= 8


def test_a_written_file_keeps_its_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    stack = file(tmp_path, COMMENTED)
    stack.path.chmod(0o640)
    stack.write(stack.changed({"weight": 20}))
    assert stack.path.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Pulumi.dev.yaml", "Pulumi.yaml"]
    assert stack.settings()["weight"] == "20"


def test_what_the_file_does_not_say_is_the_projects_default(tmp_path: Path) -> None:
    stack = file(tmp_path, COMMENTED)
    assert stack.settings() | {"ladder": 0} == {
        "service": "chat",
        "retain": [],
        "stable": "v1",
        "canary": "v2",
        "weight": "5",
        "ladder": 0,
    }


@pytest.mark.parametrize("text", ["- a list\n", "a: [\n", "\xff"])
def test_a_file_that_is_no_stack_is_told_by_name(tmp_path: Path, text: str) -> None:
    stack = file(tmp_path, "")
    stack.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LocalError, match=r"Pulumi\.dev\.yaml"):
        stack.settings()
