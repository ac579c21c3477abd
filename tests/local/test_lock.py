"""Two users of the one local cluster: the second is told who the first is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import lock
from local.errors import LocalError


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "lock"
    monkeypatch.setattr(lock, "_LOCK", path)
    return path


def test_a_second_user_is_told_who_has_the_cluster() -> None:
    with (
        lock.held("make demo"),
        pytest.raises(LocalError, match=rf"in use by `make demo` \(pid {os.getpid()}, since "),
        lock.held("make test"),
    ):
        pytest.fail("two users at once")


def test_the_lock_is_free_after_its_holder_was_killed(own_lock: Path) -> None:
    script = (
        "import time; from pathlib import Path; from local import lock\n"
        f"lock._LOCK = Path({str(own_lock)!r})\n"
        "with lock.held('a demo'): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LocalError, match="a demo"), lock.held("another"):
        pytest.fail("two users at once")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with lock.held("another"):
        pass
