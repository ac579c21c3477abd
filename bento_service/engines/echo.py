"""An engine without a model: the same words for the same release and prompt, at once. Traffic tests, drills and the
measurement of the server's own cost need an answer that is free and predictable.

It is slow or fails only as its release says, so a drill is rolled out and judged like any other release.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, cast

from engines import Draw, EngineError, FinishReason, Load, Message, Piece, Prompt
from engines.options import EchoOptions

if TYPE_CHECKING:
    from release import Release


class EchoEngine:
    """Answers `<release id> heard: <the user's last words>`; a token is a word."""

    def __init__(self, release_id: str, options: EchoOptions) -> None:
        self._release_id = release_id
        self._options = options
        self._asked = 0
        self._answering = 0

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to give back."""

    def alive(self) -> bool:
        """Always: there is nothing to die."""
        return True

    def ready(self) -> bool:
        """Always."""
        return True

    def load(self) -> Load:
        """The answers on their way."""
        return Load(self._answering)

    async def encode(self, messages: Sequence[Message]) -> Prompt:
        """Count words."""
        return Prompt(messages, tokens=sum(len(message.content.split()) for message in messages))

    async def generate(self, prompt: Prompt, draw: Draw) -> AsyncGenerator[Piece, None]:
        """The words, one by one, with the delays and failures of the options."""
        options = self._options
        fails = self._next_request_fails() or self._is_drilled()
        words = [self._release_id, "heard:", *prompt.messages[-1].content.split()]
        finish: FinishReason = "stop" if len(words) <= draw.max_tokens else "length"
        words = words[: draw.max_tokens]
        self._answering += 1
        try:
            if options.delay_ms:
                await asyncio.sleep(options.delay_ms / 1000)
            for index, word in enumerate(words):
                last = index == len(words) - 1
                if fails and (last or index >= options.fail_after_tokens):
                    raise EngineError("the release's options asked for this failure")
                if index and options.token_delay_ms:
                    await asyncio.sleep(options.token_delay_ms / 1000)
                yield Piece(word if index == 0 else f" {word}", tokens=1, finish_reason=finish if last else None)
        finally:
            self._answering -= 1

    def _next_request_fails(self) -> bool:
        # By request number, evenly spread: the share is exact also for a single repeated prompt.
        self._asked += 1
        ratio = self._options.fail_ratio
        return floor(self._asked * ratio) > floor((self._asked - 1) * ratio)

    def _is_drilled(self) -> bool:
        file = self._options.fail_file
        return bool(file) and Path(file).exists()


def create(release: Release) -> EchoEngine:
    """The engine for this release."""
    return EchoEngine(release.id, cast(EchoOptions, release.engine_options()))
