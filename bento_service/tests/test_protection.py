"""Overload, deadlines, clients that leave, and the end of the process: nobody waits for nothing, no answer is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

import capture
from tests.conftest import NO_TLS, Server, document, eventually, serving, stop

STREAM = {"model": "default", "messages": [{"role": "user", "content": "word " * 40}], "stream": True}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two places, one seat in the queue, tokens every 100 ms, a deadline of 3 s."""
    options = {"max_concurrency": 2, "max_queue": 1, "token_delay_ms": 100}
    home = tmp_path_factory.mktemp("slow")
    with serving(home, document(options=options), {"SERINUS_DEADLINE_SECONDS": "3"}) as server:
        yield server


def test_a_full_queue_answers_at_once_when_to_come_back(slow: Server) -> None:
    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{slow.url}/chat", json={"prompt": "a b c d e", "max_tokens": 7}, timeout=60, verify=NO_TLS)

    before = slow.metric("llm_requests_total", outcome="overload")
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(ask, range(6)))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200, 200, 200, 429, 429, 429]
    refused = next(response for response in responses if response.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert slow.metric("llm_requests_total", outcome="overload") == before + 3
    assert slow.metric("llm_requests_running") == 0


def test_an_answer_that_takes_too_long_ends_with_a_status(slow: Server) -> None:
    response = httpx.post(f"{slow.url}/chat", json={"prompt": "word " * 40}, timeout=60, verify=NO_TLS)
    assert response.status_code == 504
    assert "within 3 s" in response.json()["error"]["message"]
    assert slow.audit()[-1]["outcome"] == "timeout"


def test_a_stream_that_takes_too_long_ends_with_an_error_event(slow: Server) -> None:
    response = httpx.post(f"{slow.url}/v1/chat/completions", json=STREAM, timeout=60, verify=NO_TLS)
    assert response.text.rstrip().splitlines()[-1].startswith('data: {"error"')
    assert "deadline_exceeded" in response.text
    assert "[DONE]" not in response.text


def test_a_client_that_leaves_frees_its_place(slow: Server) -> None:
    before = slow.metric("llm_requests_total", outcome="client_disconnect")
    with slow.client as client, client.stream("POST", "/v1/chat/completions", json=STREAM) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert slow.metric("llm_requests_running") == 1
    assert eventually(lambda: slow.metric("llm_requests_running") == 0)
    assert slow.metric("llm_requests_total", outcome="client_disconnect") == before + 1


def test_a_client_that_leaves_before_the_first_token_frees_its_place(slow: Server) -> None:
    before = slow.metric("llm_requests_total", outcome="client_disconnect")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{slow.url}/chat", json={"prompt": "word " * 20}, timeout=0.5, verify=NO_TLS)
    assert eventually(lambda: slow.metric("llm_requests_total", outcome="client_disconnect") == before + 1)
    assert slow.metric("llm_requests_running") == 0


def test_a_body_that_never_comes_holds_nothing_else_up(slow: Server) -> None:
    host, port = slow.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        response = httpx.post(f"{slow.url}/chat", json={"prompt": "x"}, timeout=60, verify=NO_TLS)
    assert response.status_code == 200


def test_requests_in_flight_finish_when_the_process_is_told_to_end(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    audit.write_text('{"type": "earlier"}\n')
    capture.make_keys(tmp_path)
    env = {
        "SERINUS_AUDIT_FILE": str(audit),
        "SERINUS_CAPTURE_DIR": str(tmp_path / "captures"),
        "SERINUS_CAPTURE_KEY_FILE": str(tmp_path / "capture.pub"),
        "SERINUS_CAPTURE_RATIO": "1",
    }
    with serving(tmp_path, document(options={"token_delay_ms": 80}), env) as server, ThreadPoolExecutor(6) as pool:
        bodies = [("/chat", {"prompt": "word " * 28})] * 3 + [("/v1/chat/completions", STREAM)] * 3
        post = partial(httpx.post, timeout=60, verify=NO_TLS)
        asked = [pool.submit(post, server.url + path, json=body) for path, body in bodies]
        assert eventually(lambda: server.metric("llm_requests_running") == 6)
        server.process.send_signal(signal.SIGTERM)
        responses = [future.result() for future in asked]
        assert [response.status_code for response in responses] == [200] * 6
        assert all(response.text.rstrip().endswith("[DONE]") for response in responses[3:])
        stop(server)
        assert server.process.returncode == 0
    # The records of answers that ended during the drain are there, after what the file held before.
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [line.get("outcome") for line in lines] == [None] + ["ok"] * 6
    records = capture.open_captures(tmp_path / "capture.key", list((tmp_path / "captures").iterdir()))
    assert {json.loads(record)["id"] for record in records} == {line["id"] for line in lines[1:]}


def test_readiness_falls_before_the_drain_and_answers_go_on(echo: Server, client: httpx.Client) -> None:
    draining = echo.home / "draining"
    draining.touch()
    try:
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        assert client.post("/chat", json={"prompt": "x"}).status_code == 200
    finally:
        draining.unlink()
    assert client.get("/readyz").status_code == 200


def test_the_share_of_failures_is_exactly_what_the_release_says(breaking: Server) -> None:
    failed = breaking.metric("llm_requests_total", outcome="engine_error")
    with breaking.client as client:
        statuses = [client.post("/chat", json={"prompt": "same"}).status_code for _ in range(20)]
    assert statuses.count(500) == statuses.count(200) == 10
    assert breaking.metric("llm_requests_total", outcome="engine_error") == failed + 10


def test_a_thousand_clients_that_vanish_leave_nothing_behind(echo: Server) -> None:
    host, port = echo.url.removeprefix("http://").split(":")
    body = json.dumps(STREAM).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def resident() -> int:
        pages = Path(f"/proc/{echo.worker()}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096

    async def vanish() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        await reader.readuntil(b"data: ")
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()  # or the loop may end before it has closed the last sockets

    async def vanish_all(count: int) -> None:
        for _ in range(count // 50):
            await asyncio.gather(*(vanish() for _ in range(50)))

    asyncio.run(vanish_all(300))  # what the allocator keeps for such a load is not a leak
    before = resident()
    asyncio.run(vanish_all(1000))
    assert eventually(lambda: echo.metric("llm_requests_running") == 0)
    assert echo.metric("llm_sequences_decoding") == 0
    assert resident() - before < 8_000_000
