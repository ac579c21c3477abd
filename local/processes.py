"""The cluster's daemons: started in the namespace, known by pid and start time, stopped by that identity only.

A pid alone may belong to somebody else by the time it is used; with the kernel's start time it can't.
"""

import atexit
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from local.errors import LocalError
from local.network import ENTER
from local.places import LOGS, RUN

_STOP_SECONDS = 3.0
_STARTED: list[subprocess.Popen[bytes]] = []
"""Daemons outlive this process; dropping their handles before it ends would be taken for a leak."""


@atexit.register
def _let_go() -> None:
    """At the end it would be taken for one, too: a handle with an exit code is done with."""
    for process in _STARTED:
        if process.poll() is None:
            process.returncode = 0


class Record(TypedDict):
    """What is remembered of a started process: enough to know it again."""

    pid: int
    started: int
    recipe: str


@dataclass(frozen=True)
class Daemon:
    """One long-running program of the cluster."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    @property
    def record(self) -> Path:
        return RUN / f"{self.name}.json"

    @property
    def recipe(self) -> str:
        """Changes when the program would be started differently."""
        return hashlib.sha256(json.dumps([self.argv, dict(self.env)]).encode()).hexdigest()

    def pid(self) -> int | None:
        """The pid of the running program; None when it isn't running, or not the way it would be started now."""
        seen = _read_record(self.record)
        return seen["pid"] if seen and seen["recipe"] == self.recipe and _alive(seen) else None

    def start(self) -> None:
        """Start it, detached from this process; its output goes to its log."""
        LOGS.mkdir(parents=True, exist_ok=True)
        RUN.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*ENTER, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,
                cwd="/",
            )
        _STARTED.append(process)
        started = _start_time(process.pid)
        if started is None:
            raise LocalError(f"{self.name} ended at once", log=self.log)
        self.record.write_text(json.dumps({"pid": process.pid, "started": started, "recipe": self.recipe}))

    def stop(self) -> None:
        """Stop it, however it was started, and wait until it is gone."""
        if record := _read_record(self.record):
            _stop([record])
        self.record.unlink(missing_ok=True)

    def wait_until(self, healthy: Callable[[], bool], seconds: float) -> None:
        """Wait for `healthy`. Raises LocalError with the log when the program ends or `seconds` pass before."""
        deadline = time.monotonic() + seconds
        while not healthy():
            if self.pid() is None:
                raise LocalError(f"{self.name} ended while it started", log=self.log)
            if time.monotonic() > deadline:
                raise LocalError(f"{self.name} was not ready within {seconds:.0f} s", log=self.log)
            time.sleep(0.1)


def recorded() -> dict[str, int | None]:
    """Every program that was started and not stopped since, in the order of the starts; the pid of what still runs.

    However it was started: whoever asks may have other places and flags for it than whoever started it.
    """
    records = {path.stem: record for path in RUN.glob("*.json") if (record := _read_record(path))}
    in_order = sorted(records.items(), key=lambda one: (one[1]["started"], one[0]))
    return {name: record["pid"] if _alive(record) else None for name, record in in_order}


def started(name: str) -> float:
    """When the program `name` was last started, in seconds of the wall clock; 0 where it never was."""
    try:
        return (RUN / f"{name}.json").stat().st_mtime
    except OSError:
        return 0.0


def stop_all() -> None:
    """Stop every recorded daemon, and wait until it is gone; the records go too."""
    _stop([record for path in RUN.glob("*.json") if (record := _read_record(path))])
    for path in RUN.glob("*.json"):
        path.unlink()


def _stop(records: list[Record]) -> None:
    for wanted, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
        alive = [record for record in records if _alive(record)]
        for record in alive:
            os.kill(record["pid"], wanted)
        _wait_gone(alive, seconds)


def kill_tree(pids: list[int]) -> None:
    """Kill the processes `pids` and all that descend from them, and wait until they are gone."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    doomed, queue = [], list(pids)
    while queue:
        pid = queue.pop()
        doomed.append(pid)
        queue.extend(children.get(pid, []))
    seen = [Record(pid=pid, started=started, recipe="") for pid in doomed if (started := _start_time(pid)) is not None]
    for record in seen:
        if _alive(record):
            os.kill(record["pid"], signal.SIGKILL)
    _wait_gone(seen, _STOP_SECONDS)


def _wait_gone(records: list[Record], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(_alive(record) for record in records) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in _STARTED:
        process.poll()  # takes the exit code of those that were ours, so that they are not taken for a leak either


def _read_record(path: Path) -> Record | None:
    try:
        record: Record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record


def _alive(record: Record) -> bool:
    stat = _stat(record["pid"])
    return stat is not None and stat[0] != "Z" and int(stat[19]) == record["started"]


def _start_time(pid: int) -> int | None:
    stat = _stat(pid)
    return int(stat[19]) if stat else None


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the program's name: [0] is the state, [1] the parent, [19] the start."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
