"""A real served process for tests: `python -m bentoml serve` on loopback, as the pod runs it."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

SERVICE_DIR = Path(__file__).parents[1]
READY_SECONDS = 240
STOP_SECONDS = 60
# Nothing here speaks TLS, and a client that reads the certificates of the world first takes longer than most answers.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Document = dict[str, Any]


def document(**changes: Any) -> Document:  # noqa: ANN401 - any JSON
    """A release document of the echo engine; keyword arguments replace its keys."""
    return {
        "id": "v1-0123abcd",
        "image": "localhost/serinus-serving:local",
        "engine": "echo",
        "model": {"id": "echo-model", "path": "/models", "revision": "1"},
        "prompt": {"system": "You are an echo."},
        "sampling": {"max_tokens": 64, "temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 0},
        "options": {},
    } | changes


@dataclass(frozen=True)
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen[bytes]
    home: Path

    @property
    def client(self) -> httpx.Client:
        """A new client for it."""
        return httpx.Client(base_url=self.url, timeout=60, verify=NO_TLS)

    @property
    def log(self) -> str:
        """What it has printed so far, BentoML's lines and the audit log."""
        return (self.home / "log").read_text(encoding="utf-8")

    def audit(self) -> list[dict[str, Any]]:
        """The audit records so far."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("type") == "audit"]

    def metric(self, name: str, **labels: str) -> float:
        """The value of one series, which must exist."""
        for line in httpx.get(f"{self.url}/metrics", timeout=60, verify=NO_TLS).text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{key}="{text}"' in series for key, text in labels.items()):
                return float(value)
        raise AssertionError(f"no series {name} with {labels}")

    def worker(self) -> int:
        """The process id of the worker, which holds the engine."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return int(children.split()[0])


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until it holds, at most so long."""
    deadline = monotonic() + seconds
    while not holds():
        if monotonic() > deadline:
            return False
        sleep(0.05)
    return True


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launch(home: Path, release: Document | str, env: Mapping[str, str] | None = None) -> tuple[Server, int]:
    """Start the service and return at once."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "release.json"
    file.write_text(release if isinstance(release, str) else json.dumps(release), encoding="utf-8")
    port = free_port()
    environment = {
        **os.environ,
        "SERINUS_RELEASE_FILE": str(file),
        "SERINUS_DRAIN_FILE": str(home / "draining"),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        **(env or {}),
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bentoml",
                "serve",
                "service:ChatService",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
            ],
            cwd=SERVICE_DIR,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Server(f"http://127.0.0.1:{port}", process, home), port


def ready(server: Server) -> bool:
    """Whether it says so; a process that has ended fails the test with its log."""
    if server.process.poll() is not None:
        pytest.fail(f"the service ended with {server.process.returncode}:\n{server.log}")
    try:
        return httpx.get(f"{server.url}/readyz", timeout=5, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def serving(
    home: Path, release: Document, env: Mapping[str, str] | None = None, seconds: float = READY_SECONDS
) -> Iterator[Server]:
    """A service that is ready; it is ended as Kubernetes ends it."""
    server, _ = launch(home, release, env)
    try:
        if not eventually(lambda: ready(server), seconds):
            pytest.fail(f"the service was not ready within {seconds} s:\n{server.log}")
        yield server
    finally:
        stop(server)


def stop(server: Server) -> None:
    """SIGTERM, and the end of patience after a while."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        pytest.fail(f"the service did not end within {STOP_SECONDS} s of SIGTERM:\n{server.log}")


@pytest.fixture(scope="module")
def no_collection() -> Iterator[None]:
    """No garbage collection while Hypothesis reads the source for constants: its own callback on a collection in the
    middle of that makes Pythons before 3.11.9 fail with "AST constructor recursion depth mismatch"."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One echo service for all tests that don't end or overload it."""
    with serving(
        tmp_path_factory.mktemp("echo"), document(), {"SERINUS_CANARY_NOTICE": "You try a new version…"}
    ) as it:
        yield it


@pytest.fixture
def client(echo: Server) -> Iterator[httpx.Client]:
    """A client of the shared echo service."""
    with echo.client as client:
        yield client


@pytest.fixture(scope="session")
def breaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An echo service of which every second answer breaks after two tokens."""
    options = {"fail_ratio": 0.5, "fail_after_tokens": 2}
    with serving(tmp_path_factory.mktemp("breaking"), document(options=options)) as it:
        yield it
