"""An engine elsewhere: any server of the OpenAI API, such as vLLM or SGLang in the same pod. Prompt, limits, record and
release stay here; only the decoding is theirs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx

from engines import Draw, EngineBusy, EngineError, FinishReason, Load, Message, Piece, Prompt, PromptRefused
from engines.options import OpenAIOptions

if TYPE_CHECKING:
    from release import Release

log = logging.getLogger("serinus.chat")

PROBE_SECONDS = 2.0
_BUSY = {429, 503}
_NO_FAULT_OF_THE_CLIENT = {401, 403, 404, 408}


class OpenAIEngine:
    """Streams answers from the server at `model.path`."""

    def __init__(self, release: Release, options: OpenAIOptions) -> None:
        self._release = release
        self._model = options.remote_model or release.model.id
        headers = {}
        if options.api_key_file is not None:
            headers["Authorization"] = f"Bearer {_read_key(options.api_key_file)}"
        self._http = httpx.AsyncClient(
            base_url=release.model.path,
            headers=headers,
            timeout=httpx.Timeout(options.token_timeout_seconds, connect=options.connect_timeout_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=options.max_concurrency),
        )
        self._reachable = False
        self._answering = 0
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait until the server serves the model and has given a first answer; the startup probe bounds the wait."""
        while not await self._serves_model():  # noqa: ASYNC110 - another process's state: there is no event
            await asyncio.sleep(PROBE_SECONDS)
        prompt = await self.encode([Message("user", "Hello")])
        async for _ in self.generate(prompt, Draw(max_tokens=1, temperature=0.0, top_p=1.0, seed=0)):
            pass
        self._reachable = True
        self._probing = asyncio.create_task(self._probe())

    async def stop(self) -> None:
        """Close the connections."""
        if self._probing is not None:
            self._probing.cancel()
        await self._http.aclose()

    def alive(self) -> bool:
        """Always: a restart of this process would not bring the server back."""
        return True

    def ready(self) -> bool:
        """Whether the server answered its last probe."""
        return self._reachable

    def load(self) -> Load:
        """The answers on their way; the server shows the rest on its own metrics."""
        return Load(self._answering)

    async def encode(self, messages: Sequence[Message]) -> Prompt:
        """Leave templating and counting to the server: it reports the tokens with the answer, and refuses too many."""
        return Prompt(messages, tokens=0)

    async def generate(self, prompt: Prompt, draw: Draw) -> AsyncGenerator[Piece, None]:
        """The server's stream. Leaving early closes the connection, which tells the server to stop decoding."""
        finish: FinishReason | None = None
        counted = 0
        self._answering += 1
        try:
            async with self._http.stream("POST", "chat/completions", json=self._body(prompt, draw)) as response:
                if response.is_error:
                    raise _error(response.status_code, await response.aread())
                async for event in _events(response):
                    choices, usage = event.get("choices"), event.get("usage")
                    if choices:
                        finish = choices[0].get("finish_reason") or finish
                        text = choices[0]["delta"].get("content")
                        if text:
                            counted += 1
                            yield Piece(text, tokens=1)
                    if usage:
                        # A server may send several tokens in one event; its own count is the right one.
                        yield Piece("", usage["completion_tokens"] - counted, prompt_tokens=usage["prompt_tokens"])
                        counted = usage["completion_tokens"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{self._http.base_url}: {type(error).__name__}: {error}") from error
        finally:
            self._answering -= 1
        if finish not in ("stop", "length"):
            raise EngineError(f"{self._http.base_url}: the stream ended with finish_reason {finish!r}")
        yield Piece("", tokens=0, finish_reason=finish)

    def _body(self, prompt: Prompt, draw: Draw) -> dict[str, Any]:
        body = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "max_tokens": draw.max_tokens,
            "temperature": draw.temperature,
            "top_p": draw.top_p,
            "seed": draw.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        penalty = self._release.sampling.repetition_penalty
        # OpenAI's own API does not know this one, vLLM and SGLang do: it is sent only where the release asks for it.
        return body if penalty == 1 else {**body, "repetition_penalty": penalty}

    async def _serves_model(self) -> bool:
        try:
            response = await self._http.get("models")
            response.raise_for_status()
            names = [model["id"] for model in response.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.info("waiting for %s: %s", self._http.base_url, error)
            return False
        if self._model not in names:
            raise EngineError(
                f"model.path {self._http.base_url} serves {', '.join(names)}, not {self._model}. Correct model.id, or "
                "give the server's name for it in options.remote_model."
            )
        return True

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                self._reachable = (await self._http.get("models")).is_success
            except httpx.HTTPError:
                self._reachable = False


async def _events(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    async for line in response.aiter_lines():
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if data:
            event = json.loads(data)
            if "error" in event:
                raise EngineError(f"the server's stream broke: {event['error']}")
            yield event
    raise EngineError("the server's stream ended without [DONE]")


def _error(status: int, body: bytes) -> Exception:
    try:
        message = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = body[:200].decode(errors="replace")
    if status in _BUSY:
        return EngineBusy(message)
    if 400 <= status < 500 and status not in _NO_FAULT_OF_THE_CLIENT:
        return PromptRefused(message)
    return EngineError(f"the server answered {status}: {message}")


def _read_key(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineError(f"options.api_key_file {path} can't be read ({error}). Mount the Secret there.") from error


def create(release: Release) -> OpenAIEngine:
    """The engine for this release."""
    return OpenAIEngine(release, cast(OpenAIOptions, release.engine_options()))
