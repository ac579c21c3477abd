"""What clients get wrong, in both APIs: always a 4xx in one shape that says what to change."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import Server

PATHS = ["/chat", "/v1/chat/completions"]


def body_of(path: str, text: object = "hi", **fields: object) -> dict[str, object]:
    """A right body but for what is given."""
    if path == "/chat":
        return {"prompt": text, **fields}
    return {"model": "default", "messages": [{"role": "user", "content": text}], **fields}


def dumped(**fields: object) -> Callable[[str], bytes]:
    """The body of a path with such fields, NaN as clients of Python write it."""
    return lambda path: json.dumps(body_of(path, **fields)).encode()


CASES: dict[str, tuple[Callable[[str], bytes], int]] = {
    "not JSON": (lambda _: b"hello", 400),
    "empty": (lambda _: b"", 400),
    "a list": (lambda _: b"[1]", 400),
    "no prompt": (lambda path: b'{"model": "default"}' if path != "/chat" else b"{}", 400),
    "prompt of a wrong type": (dumped(text=5), 400),
    "blank prompt": (dumped(text=" \n "), 400),
    "bad UTF-8": (lambda path: json.dumps(body_of(path)).encode().replace(b"hi", b"\xff\xfe"), 400),
    "half a surrogate pair": (dumped(text="\ud800"), 400),
    "negative max_tokens": (dumped(max_tokens=-1), 400),
    "max_tokens as text": (dumped(max_tokens="5"), 400),
    "NaN temperature": (dumped(temperature=float("nan")), 400),
    "infinite temperature": (dumped(temperature=float("inf")), 400),
    "temperature too high": (dumped(temperature=2.5), 400),
    "top_p of zero": (dumped(top_p=0), 400),
    "20 MB": (dumped(text="a" * 20_000_000), 413),
    "100k tokens": (dumped(text="a " * 100_000), 400),
    "deep nesting": (lambda _: b"[" * 100_000, 400),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_the_clients_error(client: httpx.Client, path: str, case: str) -> None:
    make, status = CASES[case]
    response = client.post(path, content=make(path))
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert response.headers["x-serinus-release"] == "v1-0123abcd"


@pytest.mark.parametrize("path", PATHS)
def test_a_body_of_unknown_length_is_bounded_too(client: httpx.Client, path: str) -> None:
    response = client.post(path, content=(b"a" * 100_000 for _ in range(30)))
    assert response.status_code == 413


def test_an_unknown_field_of_chat_is_named(client: httpx.Client) -> None:
    error = client.post("/chat", json={"prompt": "x", "max_token": 3}).json()["error"]
    assert error["param"] == "max_token"
    assert "allowed are prompt, max_tokens" in error["message"]


def test_an_unknown_model_is_not_found(client: httpx.Client) -> None:
    response = client.post("/v1/chat/completions", json=body_of("/v1") | {"model": "gpt-9"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert client.get("/v1/models/gpt-9").status_code == 404


@pytest.mark.parametrize(
    "field", [{"n": 2}, {"tools": [{}]}, {"logprobs": True}, {"response_format": {"type": "json_object"}}]
)
def test_what_would_change_the_answer_is_not_ignored(client: httpx.Client, field: dict[str, object]) -> None:
    response = client.post("/v1/chat/completions", json=body_of("/v1", **field))
    assert response.status_code == 400
    assert response.json()["error"]["param"].partition(".")[0] in field


def test_a_conversation_needs_a_user(client: httpx.Client) -> None:
    body = {"model": "default", "messages": [{"role": "system", "content": "Be brief."}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 400


def test_refused_requests_are_counted_and_recorded(echo: Server, client: httpx.Client) -> None:
    before = echo.metric("llm_requests_total", outcome="client_error")
    records = len(echo.audit())
    client.post("/chat", content=b"nonsense")
    assert echo.metric("llm_requests_total", outcome="client_error") == before + 1
    record = echo.audit()[records]
    assert (record["outcome"], record["error"], record["prompt_md5"]) == ("client_error", "invalid_json", None)


@pytest.mark.parametrize("path", PATHS)
def test_the_wrong_method_is_refused_in_the_same_shape(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 405
    assert response.json()["error"]["code"] == "invalid_url"
