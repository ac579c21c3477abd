"""The engine's process under a promoter: a signal ends both, and the end of the promoter does not end the engine.

A stand-in takes the engine's place, which does on command what the real one does when the cluster is slow. The real one
is driven by tests/cluster/test_promote.py.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from serinus.cli.promote.engine import LockHolder, locked

PATIENCE = 30.0
STAND_IN = """\
#!{python}
import os, signal, sys, time
from pathlib import Path

if sys.argv[1] == "version":
    print("v3.259.0")
    sys.exit()
here = Path({folder!r})
asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
(here / "group").write_text(str(os.getpgrp()))
(here / "running").write_text(str(os.getpid()))
while not (here / "go-on").exists():
    if asked and {polite}:
        (here / "ended").write_text("cleanly")
        sys.exit(1)
    if len(asked) > 1:
        (here / "ended").write_text("hard")
        sys.exit(2)
    time.sleep(0.02)
for number in range(5000):
    print("a line of progress", number, flush=True)
(here / "ended").write_text("by itself")
"""
PROMOTER = """\
import sys
from pathlib import Path
from serinus.cli.promote import engine
from serinus.cli.promote.interrupts import InterruptedByUserError, Interrupts
from pulumi.automation.errors import CommandError

engine._CLEAN_END_SECONDS = 1.0
engine._HARD_END_SECONDS = 1.0
with Interrupts() as interrupts:
    command = engine.Command({{"PATH": {folder!r}}}, interrupts)
    try:
        command.run(["up"], {folder!r}, {{}})
    except CommandError as error:
        try:
            interrupts.check()
        except InterruptedByUserError:
            sys.exit(130)
        sys.exit(1)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    with suppress(OSError, ValueError):
        os.kill(int((tmp_path / "running").read_text()), signal.SIGKILL)


def start(folder: Path, *, polite: bool = True) -> "subprocess.Popen[bytes]":
    """Start a promoter whose engine runs, and wait until it does."""
    program = folder / "pulumi"
    program.write_text(STAND_IN.format(python=sys.executable, folder=str(folder), polite=polite))
    program.chmod(0o755)
    promoter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PROMOTER.format(folder=str(folder)))])
    wait_for(folder / "running")
    return promoter


def wait_for(file: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline, f"{file.name} did not appear"
        time.sleep(0.02)
    return file.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_to_the_promoter_alone_ends_both(folder: Path, number: signal.Signals) -> None:
    promoter = start(folder)
    promoter.send_signal(number)
    assert promoter.wait(PATIENCE) == 130
    assert wait_for(folder / "ended") == "cleanly"


def test_an_engine_that_does_not_listen_is_asked_again(folder: Path) -> None:
    promoter = start(folder, polite=False)
    promoter.send_signal(signal.SIGINT)
    assert promoter.wait(PATIENCE) == 130
    assert wait_for(folder / "ended") == "hard"


def test_a_stopped_engine_is_ended_all_the_same(folder: Path) -> None:
    promoter = start(folder)
    engine = int((folder / "running").read_text())
    os.kill(engine, signal.SIGSTOP)
    promoter.send_signal(signal.SIGINT)
    assert promoter.wait(PATIENCE) == 130
    assert not (folder / "ended").exists()


def test_the_engine_is_out_of_reach_of_the_terminals_own_ctrl_c(folder: Path) -> None:
    promoter = start(folder)
    group = int(wait_for(folder / "group"))
    assert group not in (os.getpgrp(), os.getpgid(promoter.pid))
    (folder / "go-on").touch()
    assert promoter.wait(PATIENCE) == 0


def test_an_update_outlives_a_killed_promoter(folder: Path) -> None:
    promoter = start(folder)
    promoter.kill()
    promoter.wait(PATIENCE)
    (folder / "go-on").touch()
    assert wait_for(folder / "ended") == "by itself"


HERE = "cage-1"
LOCK = "\n  file:///state/locks/1.json: created by ada@{host} (pid {pid}) at 2026-11-21T12:00:00Z"
# Nobody has this pid: it is above what a kernel gives out.
NOBODY = 2**22 + 1


@pytest.mark.parametrize(
    ("said", "holder"),
    [
        (LOCK.format(host=HERE, pid=NOBODY), LockHolder.DEAD),
        # A pid that has gone to a program that is no engine.
        (LOCK.format(host=HERE, pid=1), LockHolder.DEAD),
        (LOCK.format(host="elsewhere", pid=NOBODY), LockHolder.ELSEWHERE),
        (LOCK.format(host=HERE, pid=NOBODY) + LOCK.format(host="elsewhere", pid=NOBODY), LockHolder.ELSEWHERE),
        ("", LockHolder.ELSEWHERE),
    ],
)
def test_only_a_dead_process_of_this_machine_loses_its_lock(said: str, holder: LockHolder) -> None:
    assert locked(f"the stack is currently locked by 1 lock(s).{said}", HERE).holder is holder


def test_the_lock_of_an_engine_that_runs_here_is_left_alone(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as engine:
        try:
            # The kernel names a process a moment after its parent goes on.
            deadline = time.monotonic() + PATIENCE
            while Path(f"/proc/{engine.pid}/comm").read_text() != "pulumi\n":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            found = locked(LOCK.format(host=HERE, pid=engine.pid), HERE)
        finally:
            engine.kill()
    assert found.holder is LockHolder.HERE
    assert f"ada@{HERE} (pid {engine.pid})" in str(found)
