"""What an engine's processes write among their temporary files holds credentials, and goes with the engine."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError

from serinus.cli.promote.engine import Command
from serinus.cli.promote.interrupts import Interrupts
from serinus.cli.stack import Stack

# Leaves what the Kubernetes provider leaves; fails where it is told to.
STAND_IN = """#!/bin/sh
[ "$1" = version ] && echo v3.259.0 && exit
echo "a token" >"$TMPDIR/kubeconfig123"
stat --format "%a %n" "$TMPDIR" >"{folder}/where"
case "$*" in *fail*) exit 1 ;; esac
"""


def by_hand(folder: Path, environment: dict[str, str], word: str) -> None:
    Stack(folder, "dev", environment, "dev", folder / "log").pulumi(word)


def by_the_promoter(folder: Path, environment: dict[str, str], word: str) -> None:
    Command(environment, Interrupts()).run([word], str(folder), environment)


@pytest.mark.parametrize("word", ["up", "fail"])
@pytest.mark.parametrize("run", [by_hand, by_the_promoter])
def test_the_temporary_files_of_an_engine_are_gone_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Path, dict[str, str], str], None], word: str
) -> None:
    program = tmp_path / "pulumi"
    program.write_text(STAND_IN.format(folder=tmp_path))
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    try:
        run(tmp_path, {"PATH": path}, word)
    except CommandError:
        assert word == "fail"
    mode, _, where = (tmp_path / "where").read_text().strip().partition(" ")
    assert mode == "700"
    assert Path(where).name.startswith("serinus-engine-")
    assert not Path(where).exists()
