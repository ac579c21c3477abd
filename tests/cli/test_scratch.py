"""What an engine's processes write among their temporary files holds credentials, and goes with the engine."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError

from serinus.cli.promote.engine import Command
from serinus.cli.promote.interrupts import Interrupts
from serinus.cli.scratch import scratch
from serinus.cli.stack import Stack

# Leaves what the Kubernetes provider leaves; fails where it is told to.
STAND_IN = """#!/bin/sh
[ "$1" = version ] && echo v3.259.0 && exit
echo "a token" >"$TMPDIR/kubeconfig123"
stat --format "%a %n" "$TMPDIR" >"{folder}/where"
find "/proc/$$/fd" -lname "$TMPDIR" >"{folder}/passed-on"
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
    assert (tmp_path / "passed-on").read_text()
    assert Path(where).name.startswith("serinus-engine-")
    assert not Path(where).exists()


def test_what_a_killed_owner_left_goes_once_its_engine_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    long_ago = 1_700_000_000
    left = tmp_path / "serinus-engine-left"
    left.mkdir()
    (left / "kubeconfig123").write_text("a token")
    in_use = tmp_path / "serinus-engine-in-use"
    in_use.mkdir()
    young = tmp_path / "serinus-engine-young"
    young.mkdir()
    (tmp_path / "serinus-engine-link").symlink_to(tmp_path / "elsewhere")
    for folder in (left, in_use):
        os.utime(folder, (long_ago, long_ago))
    with subprocess.Popen(
        ["flock", "--shared", in_use, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as engine:
        assert engine.stdin is not None
        assert engine.stdout is not None
        engine.stdin.write(b"x")
        engine.stdin.flush()
        assert engine.stdout.read(1) == b"x"  # it has the lock
        with scratch():
            assert (left.exists(), in_use.exists(), young.exists()) == (False, True, True)
    with scratch():
        assert not in_use.exists()
