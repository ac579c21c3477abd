"""The reference says what the code says, and what the other pages tell people to type exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.generate import ROOT, pages
from serinus.cli.main import app
from serinus.rollout.alert_guards import DEFAULTS
from stacks.settings import Settings

DOCS = ROOT / "docs"
PAGES = [DOCS / name for name in ("concepts.md", "security.md")]


@pytest.mark.parametrize("path", pages())
def test_the_reference_is_up_to_date(path: str) -> None:
    assert (DOCS / path).read_text(encoding="utf-8") == pages()[path], "run `make docs` and commit what it wrote"


def test_every_setting_and_every_guard_stands_in_the_reference() -> None:
    page = pages()["reference/settings.md"]
    assert all(f"| `{name}` |" in page for name in [*Settings.model_fields, *DEFAULTS])


def test_every_command_stands_in_the_reference() -> None:
    page = pages()["reference/cli.md"]
    for name in group(typer.main.get_command(app)):
        assert f"## `serinus {name}" in page


def group(command: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(command, "commands", {})
    return found


def typed() -> list[str]:
    """Every `serinus …` of the pages, in a block or in a line."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += re.findall(r"^serinus .*$", text, re.MULTILINE)
        found += re.findall(r"`(serinus [^`]*)`", text)
    return found


@pytest.mark.parametrize("line", typed())
def test_a_command_that_people_are_told_to_type_exists(line: str) -> None:
    words = shlex.split(line)[1:]
    command = typer.main.get_command(app)
    while words and group(command):
        assert words[0] in group(command), line
        command = group(command)[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
