"""Only what we started may be stopped, and what we started must be found again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import processes
from local.errors import LocalError
from local.processes import Daemon


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(processes, "RUN", tmp_path / "run")
    monkeypatch.setattr(processes, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(processes, "ENTER", ())
    yield
    processes.stop_all()


def _sleeper(*extra: str) -> Daemon:
    return Daemon("sleeper", (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)", *extra))


def test_a_started_program_is_known_again_and_stopped() -> None:
    daemon = _sleeper()
    assert daemon.pid() is None
    daemon.start()
    daemon.wait_until(lambda: "up" in daemon.log.read_text(), seconds=10)
    assert daemon.pid() is not None
    processes.stop_all()
    assert daemon.pid() is None
    assert not daemon.record.exists()


def test_whoever_started_it_may_end_without_a_warning(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from local import processes
processes.RUN, processes.LOGS, processes.ENTER = Path({str(tmp_path / "run")!r}), Path({str(tmp_path / "logs")!r}), ()
processes.Daemon("sleeper", ("sleep", "600")).start()
"""
    ended = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert Daemon("sleeper", ("sleep", "600")).pid() is not None


def test_a_program_that_would_be_started_differently_counts_as_not_running() -> None:
    _sleeper().start()
    assert _sleeper("another flag").pid() is None


def test_what_runs_is_told_however_it_was_started() -> None:
    _sleeper().start()
    # Two that start in the same hundredth of a second are told by their names.
    ended = Daemon("true", ("true",))
    ended.start()
    ended_pid = json.loads(ended.record.read_text())["pid"]
    os.waitpid(ended_pid, 0)
    told = processes.recorded()
    assert list(told) == ["sleeper", "true"]
    assert told["sleeper"] == _sleeper().pid()
    assert told["true"] is None


def test_a_reused_pid_is_not_ours_and_is_not_stopped() -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        daemon = _sleeper()
        daemon.record.parent.mkdir(parents=True)
        daemon.record.write_text(json.dumps({"pid": bystander.pid, "started": 1, "recipe": daemon.recipe}))
        assert daemon.pid() is None
        processes.stop_all()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_broken_record_is_no_program() -> None:
    daemon = _sleeper()
    daemon.record.parent.mkdir(parents=True)
    daemon.record.write_text("{")
    assert daemon.pid() is None


def test_a_program_that_ends_while_it_starts_is_told_with_its_log() -> None:
    daemon = Daemon("broken", (sys.executable, "-c", "raise SystemExit('port 80: address already in use')"))
    daemon.start()
    with pytest.raises(LocalError, match="broken ended while it started") as raised:
        daemon.wait_until(lambda: False, seconds=10)
    assert "address already in use" in "\n".join(raised.value.tail())


def test_a_tree_is_killed_to_its_leaves() -> None:
    script = "import subprocess as s; p = s.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    leaf = int(parent.stdout.readline())
    processes.kill_tree([parent.pid])
    assert parent.wait() == -signal.SIGKILL
    parent.stdout.close()
    stat = Path(f"/proc/{leaf}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
