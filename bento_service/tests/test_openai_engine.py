"""The engine that is another server: here our own service with the echo engine, behind a second one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from release import ReleaseError, load_release
from tests.conftest import Server, document, eventually, serving, stop

UPSTREAM_OPTIONS = {"token_delay_ms": 20, "fail_ratio": 0.25, "fail_after_tokens": 2, "max_prompt_tokens": 50}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """The service under test, and the server that decodes for it."""
    home = tmp_path_factory.mktemp("pair")
    with serving(home / "upstream", document(id="upstream", options=UPSTREAM_OPTIONS)) as upstream:
        release = document(
            engine="openai",
            model={"id": "echo-model", "path": f"{upstream.url}/v1", "revision": "1"},
            prompt={"system": "Say it back."},
        )
        with serving(home / "proxy", release) as proxy:
            yield proxy, upstream


def test_answers_failures_and_departures_pass_through(pair: tuple[Server, Server]) -> None:
    proxy, upstream = pair
    with proxy.client as client:
        answers = [client.post("/chat", json={"prompt": "one two", "max_tokens": 3}) for _ in range(4)]
        # The upstream fails one request in four; the first was the warm-up.
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 500]
        answer = next(answer.json() for answer in answers if answer.status_code == 200)
        assert answer["response"] == "upstream heard: one"
        assert answer["release"] == "v1-0123abcd"
        assert answer["finish_reason"] == "length"
        # Both prompts, three and four words, and the user's two: the upstream counts.
        assert answer["usage"] == {"prompt_tokens": 4 + 3 + 2, "completion_tokens": 3}

        refused = client.post("/chat", json={"prompt": "word " * 60})
        assert refused.status_code == 400
        assert "at most 50" in refused.json()["error"]["message"]

        body = {"model": "default", "messages": [{"role": "user", "content": "word " * 30}], "stream": True}
        before = upstream.metric("llm_requests_total", outcome="client_disconnect")
        with client.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
    assert eventually(lambda: upstream.metric("llm_requests_total", outcome="client_disconnect") == before + 1, 2)

    stop(upstream)
    assert eventually(lambda: httpx.get(f"{proxy.url}/readyz").status_code == 503)
    assert httpx.get(f"{proxy.url}/livez").status_code == 200
    assert httpx.post(f"{proxy.url}/chat", json={"prompt": "x"}).status_code == 500


def test_a_release_of_this_engine_needs_a_url(tmp_path: Path) -> None:
    file = tmp_path / "release.json"
    file.write_text(json.dumps(document(engine="openai")))
    with pytest.raises(ReleaseError, match=r'model\.path is "/models": engine openai needs the base URL'):
        load_release(file)
