"""The bucketer as a gateway meets it: over a socket, as a program of its own, with what clients may send."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serinus.bucketer.config import Config
from serinus.bucketer.decide import Decider
from serinus.bucketer.server import serve
from serinus.rollout.buckets import bucket_of, label

SALT = "a salt of sixteen"
CONFIG = Config(SALT, header="X-User-Id")
ADA = f"HTTP/1.1 200 OK\r\nX-User-Bucket: {label(bucket_of('ada', SALT))}\r\nContent-Length: 0\r\n\r\n".encode()
NOBODY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: b\r\nX-User-Id: ada\r\n\r\n"


async def exchange(*pieces: bytes, most: int, ends: bool = False) -> tuple[bytes, bool]:
    """Send the pieces one by one; return the answer up to `most` bytes, and whether the connection ended with it.

    An end that should come is waited for.
    """
    server = await serve(Decider(CONFIG), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = b""
        while len(answer) < most and (more := await asyncio.wait_for(reader.read(most - len(answer)), 20)):
            answer += more
        try:
            ended = await asyncio.wait_for(reader.read(1), 20 if ends else 0.1) == b""
        except TimeoutError:
            ended = False
        writer.close()
    return answer, ended


@pytest.mark.parametrize(
    ("pieces", "expected", "ends"),
    [
        ([ASK], ADA, False),
        ([ASK, ASK], ADA + ADA, False),
        ([ASK + ASK[:20], ASK[20:]], ADA + ADA, False),
        ([ASK[i : i + 1] for i in range(len(ASK))], ADA, False),
        ([b"GET /readyz HTTP/1.1\r\nHost: b\r\n\r\n"], NOBODY, False),
        ([b"GET / HTTP/1.1\r\nX-User-Id: ada\r\nConnection: close\r\n\r\n"], ADA, True),
        ([b"GET / HTTP/1.0\r\nX-User-Id: ada\r\n\r\n"], ADA, True),
        ([b"POST / HTTP/1.1\r\nContent-Length: 0\r\nX-User-Id: ada\r\n\r\n"], ADA, False),
        # A body is not read: what comes after it could be taken for a request.
        ([b"POST / HTTP/1.1\r\nContent-Length: 5\r\nX-User-Id: ada\r\n\r\n" + ASK], ADA, True),
        ([b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + ASK], NOBODY, True),
        ([b"\x00\xff\r\n\r\n"], NOBODY, True),
        ([b"GET / HTTP/1.1\r\nX-User-Id\r\n\r\n"], NOBODY, False),
        ([b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 70_000], NOBODY, True),
    ],
)
def test_every_request_is_answered_with_200(pieces: list[bytes], expected: bytes, ends: bool) -> None:
    assert asyncio.run(exchange(*pieces, most=len(expected), ends=ends)) == (expected, ends)


def test_a_bug_costs_no_user_an_answer(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("ada is broken")

    monkeypatch.setattr(Decider, "decide", broken)
    assert asyncio.run(exchange(ASK, most=len(NOBODY))) == (NOBODY, False)
    assert "undecided: RuntimeError" in caplog.text
    assert "ada" not in caplog.text


@contextmanager
def program(config: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "serinus.bucketer", str(config), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, json.loads(process.stdout.readline())["port"]
        process.kill()


def test_the_program_serves_until_it_is_told_to_stop_and_names_no_user(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(CONFIG.document())

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        answer = await reader.readexactly(len(ADA))
        writer.close()
        await writer.wait_closed()
        return answer

    with program(config) as (process, port):
        assert asyncio.run(ask(port)) == ADA
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [json.loads(line) for line in rest.splitlines()] == [{"event": "stopped"}]


def test_the_program_needs_no_other_package() -> None:
    code = (
        "import sys, serinus.bucketer.__main__; print([m for m in sys.modules if m.startswith(('pydantic', 'yaml'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_program_says_what_is_wrong_with_its_configuration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serinus.bucketer", str(tmp_path / "missing.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing.json can't be read" in done.stderr
