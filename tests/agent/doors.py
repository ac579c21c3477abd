"""The agent's door on a socket of its own, in a thread: tests knock from outside, as Alertmanager does."""

import asyncio
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from serinus.agent import logs
from serinus.agent.server import make_app
from serinus.rollout.alertmanager import Memory
from serinus.rollout.demand import Demand

TOKEN = "correct-horse"  # noqa: S105 (a test's token)
OTHER = "battery-staple"
"""The token of another service."""


class Answer(NamedTuple):
    code: int
    document: Any
    headers: dict[str, str]


@dataclass
class Service:
    """A service for which whoever knows the token may speak."""

    service: str
    door: "Door"
    memory: Memory = field(default_factory=Memory)

    def once(self, demand: Demand) -> bool | None:
        now = datetime.now(UTC)
        if self.memory.knows(demand.fingerprint, now):
            return False
        if self.door.busy:
            return None
        self.door.taken.append(demand)
        self.memory.keep([demand.fingerprint], now)
        return True

    async def stood(self) -> None:
        if not self.door.stands:
            await asyncio.Event().wait()


@dataclass
class Door:
    """What came through, and what the agent behind the door says."""

    tokens: dict[bytes, list[Service]] | None = field(default_factory=dict)
    port: int = 0
    taken: list[Demand] = field(default_factory=list)
    busy: bool = False
    well: bool = True
    stands: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def callers(self, token: bytes) -> list[Service] | None:
        return None if self.tokens is None else self.tokens.get(token, [])

    def post(self, path: str, body: object, **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        return self.ask("POST", path, raw, sent)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        request = urllib.request.Request(self.url + path, method=method, data=body, headers=headers or {})  # noqa: S310 (our own)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 (the same)
                return Answer(answer.status, _read(answer.read()), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _read(error.read()), dict(error.headers))


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw


async def _close(runner: web.AppRunner) -> None:
    await runner.cleanup()
    # Connections whose sender hung up in the middle still wait for the rest.
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def open_door() -> Iterator[Door]:
    door = Door()
    door.tokens = {TOKEN.encode(): [Service("chat", door)], OTHER.encode(): [Service("search", door)]}
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = make_app(door.callers, lambda: door.well, lambda: door.well, lambda: b"up 1\n", stand_seconds=0.2)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        door.port = runner.addresses[0][1]
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield door
    finally:
        asyncio.run_coroutine_threadsafe(_close(runner), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Apart:
    """A door in a process of its own, which holds nothing else: what it keeps of what is sent can be measured."""

    port: int
    pid: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def resident(self) -> int:
        """Bytes of memory that the process has now."""
        fields = (line.split() for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return next(int(line[1]) * 1024 for line in fields if line[0] == "VmRSS:")

    def errors(self) -> list[str]:
        """Every line of its log that tells of an error, and what is there that is no log."""
        lines = self.log.read_text().splitlines()
        return [
            line for line in lines if not line.startswith("{") or json.loads(line)["level"] not in ("info", "warning")
        ]


@contextmanager
def open_door_apart(folder: Path) -> Iterator[Apart]:
    """Open a door in a process of its own; it ends with this one at the latest."""
    log = folder / "log"
    program = [sys.executable, "-m", "tests.agent.doors"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port, log.read_text()
        yield Apart(int(port), process.pid, log)
        process.communicate()
        assert process.returncode == 0, log.read_text()


def main() -> None:
    """Open a door, print its port, and keep it open until the input ends."""
    logs.set_up()
    with open_door() as door:
        door.taken = deque(maxlen=1000)  # type: ignore[assignment]  # as bounded as the agent's own queue
        print(door.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
