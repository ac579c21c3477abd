"""Engines: what turns a conversation into tokens, behind one small protocol.

A server knows nothing of torch, of other servers or of fault injection; it knows this file. Engines are imported by
name when they are created, so a pod pays only for the one it runs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from release import Release

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as its engine takes it. `tokens` is its length; `ids` are token ids where the engine has them."""

    messages: Sequence[Message]
    tokens: int
    ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """How one answer is drawn: the release's sampling, with what the request may change of it."""

    max_tokens: int
    temperature: float
    top_p: float
    seed: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: its text (may be empty), the tokens it took, and in the last piece why it ended. An engine
    that learns the prompt's length only while it answers gives it here."""

    text: str
    tokens: int
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine is at: sequences in its batch, and the share of its cache that they hold (None: it has none)."""

    decoding: int
    cache_used: float | None = None


class EngineError(Exception):
    """The engine could not answer. The message is for the log; users see a general one."""


class EngineBusy(Exception):
    """The engine takes no more just now."""


class PromptRefused(Exception):
    """The engine can't take this prompt; the message is for the user."""


class Engine(Protocol):
    """What the server asks of an engine."""

    async def start(self) -> None:
        """Load and warm up; returns when the first request would be fast. Raises `EngineError`."""

    async def stop(self) -> None:
        """Give everything back; requests in flight have ended before."""

    def alive(self) -> bool:
        """False once the engine can't recover by itself: the process must be restarted."""

    def ready(self) -> bool:
        """False while it can't answer but may again: the process must get no requests."""

    def load(self) -> Load:
        """What it is at just now."""

    async def encode(self, messages: Sequence[Message]) -> Prompt:
        """Apply the chat template and count tokens."""

    def generate(self, prompt: Prompt, draw: Draw) -> AsyncGenerator[Piece, None]:
        """The answer, piece by piece; the last piece has a finish reason. Closing the generator stops the decoding.
        Raises `EngineError`, `EngineBusy`, `PromptRefused`."""


def create_engine(release: Release) -> Engine:
    """The engine that the release names, not started yet."""
    return cast(Engine, import_module(f"engines.{release.engine}").create(release))
