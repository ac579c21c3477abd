"""`/chat` and the health paths, over a real connection."""

from __future__ import annotations

import json
from urllib.parse import unquote

import httpx

from tests.conftest import Server


def test_an_answer_says_what_gave_it(client: httpx.Client) -> None:
    response = client.post("/chat", json={"prompt": "hello you"})
    assert response.status_code == 200
    assert response.headers["x-serinus-release"] == "v1-0123abcd"
    answer = response.json()
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer == {
        "response": "v1-0123abcd heard: hello you",
        "release": "v1-0123abcd",
        "model": "echo-model",
        "usage": {"prompt_tokens": 6, "completion_tokens": 4},
        "finish_reason": "stop",
    }


def test_an_answer_is_cut_by_tokens(client: httpx.Client) -> None:
    answer = client.post("/chat", json={"prompt": "one two three", "max_tokens": 3}).json()
    assert answer["response"] == "v1-0123abcd heard: one"
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["finish_reason"] == "length"


def test_more_tokens_than_the_release_gives_are_refused_not_cut(client: httpx.Client) -> None:
    response = client.post("/chat", json={"prompt": "x", "max_tokens": 65})
    assert response.status_code == 400
    assert "at most 64 tokens" in response.json()["error"]["message"]


def test_health_paths_answer_their_probes(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "model": "echo-model"}
    assert client.get("/readyz").status_code == 200
    assert client.get("/livez").status_code == 200


def test_only_a_user_on_the_canary_gets_the_notice(client: httpx.Client) -> None:
    told = client.post("/chat", json={"prompt": "x"}, headers={"X-Serinus-Role": "canary"})
    assert told.json()["notice"] == "You try a new version…"
    assert unquote(told.headers["x-serinus-notice"]) == "You try a new version…"
    untold = client.post("/chat", json={"prompt": "x"})
    assert "notice" not in untold.json()
    assert "x-serinus-notice" not in untold.headers


def test_every_outcome_is_a_series_before_it_happens(echo: Server) -> None:
    for outcome in ("ok", "client_error", "overload", "timeout", "engine_error", "client_disconnect"):
        assert echo.metric("llm_requests_total", release="v1-0123abcd", outcome=outcome) >= 0


def test_an_answer_is_counted_once(echo: Server, client: httpx.Client) -> None:
    before = echo.metric("llm_requests_total", outcome="ok")
    tokens = echo.metric("llm_tokens_total", type="output")
    client.post("/chat", json={"prompt": "a b"})
    assert echo.metric("llm_requests_total", outcome="ok") == before + 1
    assert echo.metric("llm_tokens_total", type="output") == tokens + 4


def test_a_path_that_nobody_serves_makes_no_series(echo: Server, client: httpx.Client) -> None:
    assert client.get("/some/random/path").status_code == 404
    assert "random" not in client.get("/metrics").text


def test_no_prompt_and_no_user_id_reaches_the_log(echo: Server, client: httpx.Client) -> None:
    answer = client.post(
        "/chat", json={"prompt": "mysecretprompt"}, headers={"X-User-Id": "mysecretuser", "X-User-Bucket": "07"}
    ).json()
    assert "mysecret" not in echo.log
    record = next(record for record in echo.audit() if record["id"] == answer["id"])
    assert record["bucket"] == "07"
    assert len(record["user_id_hash"]) == len(record["prompt_md5"]) == 32


def test_a_user_id_in_the_body_counts_like_the_header(echo: Server, client: httpx.Client) -> None:
    by_header = client.post("/chat", json={"prompt": "x"}, headers={"X-User-Id": "bob"}).json()["id"]
    by_body = client.post("/chat", json={"prompt": "x", "user_id": "bob"}).json()["id"]
    hashes = {record["id"]: record["user_id_hash"] for record in echo.audit()}
    assert hashes[by_header] == hashes[by_body] is not None


def test_a_bucket_that_is_none_stays_out_of_the_log(echo: Server, client: httpx.Client) -> None:
    answer = client.post("/chat", json={"prompt": "x"}, headers={"X-User-Bucket": "forged-text"}).json()
    assert next(record for record in echo.audit() if record["id"] == answer["id"])["bucket"] is None
    assert "forged-text" not in json.dumps(echo.audit())
