"""Whatever is sent to the agent's door: no 5xx, no traceback, nothing of it stays, and the door stays open.

`make fuzz` tries the same for longer.
"""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serinus.rollout.alertmanager import MOST_ALERTS
from tests.agent.doors import TOKEN, Apart, open_door_apart

EXAMPLES = int(os.environ.get("SERINUS_FUZZ", "8"))
# The door's start and a schema's first example take seconds of a free machine, and a minute of a crowded one.
pytestmark = pytest.mark.timeout(max(300, 2 * EXAMPLES))
few = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
# They cost next to nothing.
many = settings(few, max_examples=max(80, EXAMPLES))

REQUEST = (
    f"POST /v1/alerts HTTP/1.1\r\nHost: agent\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    'Content-Length: 29\r\nConnection: close\r\n\r\n{"version":"4","alerts":[{}]}'
).encode()
PIECES = st.sampled_from([b"\r\n", b"\0", b"\xff", b"Transfer-Encoding: chunked\r\n", b"-1", b"%00", b"HTTP/9.9", b" "])


MIB = 2**20
MOST_GROWTH = 8 * MIB
"""What the allocator may keep beside what the agent remembers, which is full before anything is measured. One large
body in ten that stayed would be seen at once, and 3 kB of each of 3,000 requests."""
_LARGE = 100


class Warm(NamedTuple):
    """A door that has seen everything once, and the bytes of memory that it had then."""

    door: Apart
    resident: int


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with open_door_apart(Path(tmp_path_factory.mktemp("door"))) as door:
        # As many different alerts as are remembered: whatever comes later takes the place of one of them.
        for part in range(5):
            alerts = [alert(f"{part}x{number}") for number in range(MOST_ALERTS)]
            assert post(door, json.dumps({"version": "4", "alerts": alerts}).encode()) == 202
        send_large(door)
        yield Warm(door, door.resident)


def alert(fingerprint: str, **annotations: str) -> dict[str, object]:
    labels = {"serinus_service": "chat", "serinus_action": "rollback"}
    started = "2026-01-01T00:00:00Z"
    return {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": started,
        "fingerprint": fingerprint,
    }


def post(door: Apart, body: bytes, token: str = TOKEN) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{door.url}/v1/alerts", data=body, headers=headers)  # noqa: S310 (our own)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 (the same)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def send_large(door: Apart) -> None:
    """Send half a MiB each: one alert that is taken, one that is a mistake, no JSON, and without the right token."""
    told = {f"word{number}": "x" * 8000 for number in range(64)}
    taken = json.dumps({"version": "4", "alerts": [alert("large", **told)]}).encode()
    broken = json.dumps({"version": "4", "alerts": [alert("large", **told) | {"status": "x" * 1000}]}).encode()
    assert post(door, taken) == post(door, broken) == 202
    assert post(door, taken[:-1]) == 400
    assert post(door, taken, token="wrong") == 401  # noqa: S106 (a test's)


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/rollback", "/healthz", "/readyz", "/metrics"])
def test_every_answer_is_as_the_openapi_document_says(warm: Warm, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{warm.door.url}/openapi.json")
    (operation,) = [one.ok() for one in schema.get_all_operations() if one.ok().path == path]

    @few
    @given(case=operation.as_strategy())
    def try_it(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code < 500, answer.content
        case.operation.validate_response(answer)

    try_it()
    nothing_broke(warm)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A request that was cut, stretched and spoilt at any place."""
    raw = bytearray(REQUEST)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 40)))
        raw[start:end] = draw(PIECES | st.binary(max_size=40))
    return bytes(raw)


def test_raw_bytes_do_not_break_the_door(warm: Warm) -> None:
    @many
    @given(raw=mangled() | st.binary(max_size=500))
    def try_it(raw: bytes) -> None:
        answer = exchange(warm.door, raw)
        status = answer.partition(b" ")[2][:3]
        assert status in (b"", b"200") or status.startswith(b"4") or status == b"202", answer
        assert b"Traceback" not in answer

    try_it()
    nothing_broke(warm)


def exchange(door: Apart, raw: bytes) -> bytes:
    """Send bytes, say that no more come, and return what is answered until the end."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=120) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                answer += more
        except ConnectionError:
            pass  # it hung up in the middle: its right
        return answer


def test_large_bodies_leave_nothing_behind(warm: Warm) -> None:
    for _ in range(max(_LARGE, EXAMPLES) // 4):
        send_large(warm.door)
    nothing_broke(warm)


def nothing_broke(warm: Warm) -> None:
    assert warm.door.errors() == []
    with urllib.request.urlopen(f"{warm.door.url}/healthz", timeout=120) as answer:  # noqa: S310 (our own)
        assert answer.status == 200
    grown = warm.door.resident - warm.resident
    print(f"memory grew by {grown / MIB:.1f} MiB")
    assert grown < MOST_GROWTH
