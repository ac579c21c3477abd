"""Whatever is sent to the agent's door: no 5xx, no traceback, and the door stays open.

`make fuzz` tries the same for longer.
"""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agent.doors import TOKEN, Door, open_door

EXAMPLES = int(os.environ.get("SERINUS_FUZZ", "25"))
few = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

REQUEST = (
    f"POST /v1/alerts HTTP/1.1\r\nHost: agent\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    'Content-Length: 29\r\nConnection: close\r\n\r\n{"version":"4","alerts":[{}]}'
).encode()
PIECES = st.sampled_from([b"\r\n", b"\0", b"\xff", b"Transfer-Encoding: chunked\r\n", b"-1", b"%00", b"HTTP/9.9", b" "])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(Path(tmp_path_factory.mktemp("door"))) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/rollback", "/healthz", "/readyz", "/metrics"])
def test_every_answer_is_as_the_openapi_document_says(door: Door, path: str, caplog: pytest.LogCaptureFixture) -> None:
    schema = schemathesis.openapi.from_url(f"{door.url}/openapi.json")
    (operation,) = [one.ok() for one in schema.get_all_operations() if one.ok().path == path]

    @few
    @given(case=operation.as_strategy())
    def try_it(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code < 500, answer.content
        case.operation.validate_response(answer)

    try_it()
    nothing_broke(door, caplog)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A request that was cut, stretched and spoilt at any place."""
    raw = bytearray(REQUEST)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 40)))
        raw[start:end] = draw(PIECES | st.binary(max_size=40))
    return bytes(raw)


def test_raw_bytes_do_not_break_the_door(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    @few
    @given(raw=mangled() | st.binary(max_size=500))
    def try_it(raw: bytes) -> None:
        answer = exchange(door, raw)
        status = answer.partition(b" ")[2][:3]
        assert status in (b"", b"200") or status.startswith(b"4") or status == b"202", answer
        assert b"Traceback" not in answer

    try_it()
    nothing_broke(door, caplog)


def exchange(door: Door, raw: bytes) -> bytes:
    """Send bytes, say that no more come, and return what is answered until the end."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                answer += more
        except ConnectionError:
            pass  # it hung up in the middle: its right
        return answer


def nothing_broke(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert door.ask("GET", "/healthz").code == 200
