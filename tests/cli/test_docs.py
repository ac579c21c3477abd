"""The reference says what the code says, and what the other pages tell people to type exists."""

import re
import shlex
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.generate import ROOT, pages
from docs.metrics import service_series
from policies.rules import RULES
from serinus.cli.main import app
from serinus.rollout.alert_guards import DEFAULTS
from serinus.rollout.alert_queries import LOUD
from serinus.rollout.rules import CAP_RULES, LADDER_RULES, STATUS_RULES, SWAP_RULES
from stacks.settings import Settings

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if page.parent.name != "reference")]
_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?(?:serinus|make) [^`]*)`")
_NEXT_COMMAND = {"&&", "||", "|", ";", ">"}


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


def test_every_series_that_a_guard_or_a_picture_reads_stands_in_the_reference() -> None:
    page = pages()["reference/metrics.md"]
    for file in ("alert_queries.py", "dashboard.py", "report_series.py"):
        text = (ROOT / "serinus" / "rollout" / file).read_text(encoding="utf-8")
        named = re.findall(r"\b((?:llm|gen_ai|traefik)_[a-z_]+[a-z])\b", text)
        assert named, file
        for series in named:
            assert f"`{re.sub('_(bucket|count|sum)$', '', series)}`" in page, (file, series)


def test_every_limit_in_seconds_is_an_edge_of_the_gateways_and_of_the_services_buckets() -> None:
    limits = {float(str(DEFAULTS[name]["threshold"])) for name in ("slowP95", "slowP95Hard", "slowP99", "slowFast")}
    (gateways,) = re.findall(r'_BUCKETS = "([0-9.,]+)"', (ROOT / "local" / "gateway.py").read_text(encoding="utf-8"))
    assert limits <= set(map(float, gateways.split(",")))
    services = {one.name: set(one.edges) for one in service_series(ROOT / "bento_service")}
    assert limits <= services["gen_ai_server_request_duration_seconds"]
    assert float(LOUD) in services["llm_output_offensive_score"]


def test_every_rule_stands_in_the_reference() -> None:
    page = pages()["reference/policies.md"]
    assert all(f"| `{rule.name}` |" in page for rule in RULES)
    assert all(f"| `{rule.code}` |" in page for rule in (*LADDER_RULES, *STATUS_RULES, *CAP_RULES, *SWAP_RULES))


def group(command: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(command, "commands", {})
    return found


def commands(text: str) -> list[list[str]]:
    """Every `serinus …` and `make …` of a line that a shell would run, as words."""
    found: list[list[str]] = [[]]
    for word in shlex.split(text.strip().removeprefix("$ "), comments=True):
        if word in _NEXT_COMMAND:
            found.append([])
        else:
            found[-1].append(word)
    # A setting before a command, as in NAME=value make.
    cleaned = [[*dropwhile(lambda word: re.match(r"[A-Z_]+=", word) is not None, words)] for words in found]
    named = [[words[0].removeprefix(".venv/bin/"), *words[1:]] for words in cleaned if words]
    return [words for words in named if words[0] in ("serinus", "make")]


def typed() -> Iterator[tuple[str, list[str], bool]]:
    """Every command of the pages with the page's name; whether it stands in a block, as a whole."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.findall(text):
            for line in block.replace("\\\n", " ").splitlines():
                if re.match(r" *(\$ )?([A-Z_]+=\S+ )?(\.venv/bin/)?(serinus|make) ", line):
                    yield from ((page.name, words, True) for words in commands(line))
        for line in _INLINE.findall(_BLOCK.sub("", text)):
            yield from ((page.name, words, False) for words in commands(line))


@pytest.mark.parametrize(("page", "words", "whole"), list(typed()), ids=lambda value: str(value)[:60])
def test_a_command_that_people_are_told_to_type_exists(page: str, words: list[str], whole: bool) -> None:
    program, *rest = words
    if program == "make":
        assert set(rest) <= targets(), f"{page}: {words}"
        return
    command = typer.main.get_command(app)
    while rest and group(command):
        # A group may do something itself, such as `status SERVICE`.
        if rest[0] not in group(command):
            assert len(words) - len(rest) > 1, f"{page}: {words}"
            break
        command = group(command)[rest.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert options <= known | {"--help"}, f"{page}: {words}"
    if whole and "--help" not in rest:
        needed = [one for one in command.params if one.required]
        missing = [one.name for one in needed if one.opts[0].startswith("-") and not {*one.opts} & options]
        assert not missing, f"{page}: {words} lacks {missing}"
        arguments = [one for one in needed if not one.opts[0].startswith("-")]
        assert sum(not word.startswith("-") for word in rest) >= len(arguments), f"{page}: {words}"


def targets() -> set[str]:
    """What `make` knows to make."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
