"""The OpenAI API, by the bare protocol and by the clients that people have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openai import APIError, BadRequestError, NotFoundError, OpenAI

from tests.conftest import Server

QUESTION = [{"role": "user", "content": "one two three"}]


def events(response: httpx.Response) -> list[str]:
    """The data of all server-sent events."""
    return [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]


@pytest.fixture
def openai(echo: Server) -> OpenAI:
    """The official client, pointed here as anyone would."""
    return OpenAI(base_url=f"{echo.url}/v1", api_key="unused", max_retries=0)


def test_the_official_client_gets_a_whole_answer(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(
        model="default", messages=[{"role": "user", "content": "one two three"}], max_tokens=4, seed=-5, user="bob"
    )
    assert answer.choices[0].message.content == "v1-0123abcd heard: one two"
    assert answer.choices[0].finish_reason == "length"
    assert answer.system_fingerprint == "v1-0123abcd"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 4


def test_the_official_client_gets_a_stream_with_usage(openai: OpenAI) -> None:
    stream = openai.chat.completions.create(
        model="echo-model",
        messages=[{"role": "user", "content": "one two three"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "v1-0123abcd heard: one two three"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_the_official_client_sees_refusals_as_its_own_errors(openai: OpenAI) -> None:
    with pytest.raises(NotFoundError):
        openai.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(BadRequestError, match="at most 64"):
        openai.chat.completions.create(model="default", messages=[{"role": "user", "content": "x"}], max_tokens=999)


def test_the_list_of_models_holds_names_that_outlive_a_release(openai: OpenAI) -> None:
    assert {model.id for model in openai.models.list()} == {"echo-model", "v1-0123abcd", "default"}
    assert openai.models.retrieve("default").id == "default"


@pytest.mark.parametrize("client", ["langchain", "litellm"])
def test_other_clients_work_as_they_are(echo: Server, client: str) -> None:
    # In a process of their own: their imports and threads are not ours to keep clean.
    script = Path(__file__).parent / "clients" / f"{client}_client.py"
    run = subprocess.run([sys.executable, script, echo.url], capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["v1-0123abcd heard: one two", "v1-0123abcd heard: three four"]


def test_a_stop_text_ends_the_answer_before_it(client: httpx.Client) -> None:
    for stream in (False, True):
        body = {"model": "default", "messages": QUESTION, "stop": ["o th", "never"], "stream": stream}
        response = client.post("/v1/chat/completions", json=body)
        if stream:
            deltas = [json.loads(event)["choices"][0]["delta"] for event in events(response)[:-1]]
            text = "".join(delta["content"] for delta in deltas)
        else:
            text = response.json()["choices"][0]["message"]["content"]
        assert text == "v1-0123abcd heard: one tw"


def test_a_stream_ends_with_done(client: httpx.Client) -> None:
    response = client.post("/v1/chat/completions", json={"model": "default", "messages": QUESTION, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-serinus-release"] == "v1-0123abcd"
    assert events(response)[-1] == "[DONE]"


def test_text_in_parts_and_a_system_message_are_understood(client: httpx.Client) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
    ]
    answer = client.post("/v1/chat/completions", json={"model": "default", "messages": messages}).json()
    assert answer["choices"][0]["message"]["content"] == "v1-0123abcd heard: one two"
    # The release's own prompt (4 words) stands before the client's (2).
    assert answer["usage"]["prompt_tokens"] == 4 + 2 + 2


def test_a_stream_that_breaks_is_an_error_for_the_client(breaking: Server) -> None:
    openai = OpenAI(base_url=f"{breaking.url}/v1", api_key="unused", max_retries=0)
    failed = breaking.metric("llm_requests_total", outcome="engine_error")
    messages, outcomes, texts = [], [], []
    for _ in range(2):
        stream = openai.chat.completions.create(
            model="default", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
        received: list[str | None] = []
        try:
            received.extend(chunk.choices[0].delta.content for chunk in stream)
        except APIError as error:
            messages.append(error.message)
            outcomes.append(breaking.audit()[-1]["outcome"])
            texts.append(received)
    assert messages == ["The model could not answer. Try again."]
    assert outcomes == ["engine_error"]
    assert texts == [["v1-0123abcd", " heard:"]]
    assert breaking.metric("llm_requests_total", outcome="engine_error") == failed + 1
