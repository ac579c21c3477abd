"""What passes between the APIs and the answering: a question, an answer on its way, a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Literal

from engines import FinishReason, Message

Outcome = Literal["ok", "client_error", "overload", "timeout", "engine_error", "client_disconnect"]


class Refusal(Exception):
    """The request gets no (whole) answer. `param` is the field at fault, if one is; `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
        outcome: Outcome = "client_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Question:
    """A request, free of any API's shape. What is None comes from the release; `stop` texts end the answer."""

    messages: Sequence[Message]
    max_tokens: int | None = None
    max_tokens_name: str = "max_tokens"
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: Sequence[str] = ()


@dataclass(slots=True)
class Answer:
    """An answer on its way, from the first byte of its request to the last of its own. Seconds are on the monotonic
    clock, but `received_at` is the time of day; `bucket` and `user_hash` say for whom, as far as the request did."""

    id: str
    path: str
    bucket: str | None = None
    user_hash: str | None = None
    question: Question | None = None
    prompt_digest: str | None = None
    prompt_tokens: int = 0
    tokens: int = 0
    parts: list[str] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    outcome: Outcome | None = None
    error: str | None = None
    received_at: float = field(default_factory=time)
    started: float = field(default_factory=monotonic)
    first_token: float | None = None
    ended: float = 0.0

    @property
    def text(self) -> str:
        """What has been answered so far."""
        return "".join(self.parts)
