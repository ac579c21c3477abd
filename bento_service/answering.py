"""One request's way to its answer, the same for every API: limits, a place, the engine, the clock, the count.

APIs translate shapes and statuses; nothing else stands there. However a request ends, it is counted exactly once here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from time import monotonic
from uuid import uuid4

from admission import Admission, Overloaded
from engines import Draw, Engine, EngineError, FinishReason, Message, Piece
from metrics import Metrics, Outcome
from release import Release

log = logging.getLogger("serinus.chat")


class Refusal(Exception):
    """The request gets no (whole) answer. `param` is the field at fault, if one is; `retry_after` is in seconds."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Question:
    """A request, free of any API's shape. What is None comes from the release."""

    messages: Sequence[Message]
    max_tokens: int | None = None
    max_tokens_name: str = "max_tokens"
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


@dataclass(slots=True)
class Answer:
    """An answer on its way: filled while `Answering.stream` runs."""

    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    prompt_tokens: int = 0
    tokens: int = 0
    finish_reason: FinishReason | None = None
    started: float = field(default_factory=monotonic)
    first_token: float | None = None


class Answering:
    """Answers questions with one engine under the release's and the process's limits."""

    def __init__(self, release: Release, engine: Engine, metrics: Metrics, deadline_seconds: float) -> None:
        options = release.engine_options()
        self.release = release
        self._engine = engine
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds
        self._max_prompt_tokens = options.max_prompt_tokens
        self._admission = Admission(options.max_concurrency, options.max_queue, metrics.running, metrics.waiting)

    async def whole(self, question: Question) -> tuple[Answer, str]:
        """The whole answer at once. Raises `Refusal`."""
        answer = Answer()
        async with aclosing(self.stream(question, answer)) as pieces:
            text = "".join([piece.text async for piece in pieces])
        return answer, text

    async def stream(self, question: Question, answer: Answer) -> AsyncGenerator[Piece, None]:
        """The answer's pieces. Raises `Refusal`, also in the middle of an answer; closing it stops the engine."""
        outcome: Outcome = "engine_error"
        deadline = answer.started + self._deadline_seconds
        try:
            draw = self._draw(question)
            async with AsyncExitStack() as stack:
                async with asyncio.timeout_at(_loop_time(deadline)):
                    prompt = await self._engine.encode(self._with_release_prompt(question.messages))
                    answer.prompt_tokens = prompt.tokens
                    self._check_length(prompt.tokens)
                    await stack.enter_async_context(self._admission.place())
                pieces = await stack.enter_async_context(aclosing(self._engine.generate(prompt, draw)))
                while answer.finish_reason is None:
                    async with asyncio.timeout_at(_loop_time(deadline)):
                        piece = await anext(pieces)
                    if answer.first_token is None:
                        answer.first_token = monotonic() - answer.started
                    answer.tokens += piece.tokens
                    answer.finish_reason = piece.finish_reason
                    yield piece
            outcome = "ok"
        except Refusal:
            outcome = "client_error"
            raise
        except Overloaded as error:
            outcome = "overload"
            message = "The service is busy: its queue is full. Try again after the time in Retry-After."
            raise Refusal(429, "overloaded", message, retry_after=error.retry_after) from error
        except TimeoutError as error:
            outcome = "timeout"
            message = f"No whole answer within {self._deadline_seconds:g} s. Ask for fewer tokens or try again."
            raise Refusal(504, "deadline_exceeded", message) from error
        except (EngineError, StopAsyncIteration) as error:
            log.error("answer %s failed: %s", answer.id, error)
            raise Refusal(500, "engine_error", "The model could not answer. Try again.") from error
        except (asyncio.CancelledError, GeneratorExit):
            # The reader left. A reader who leaves after the last piece has the whole answer.
            outcome = "ok" if answer.finish_reason is not None else "client_disconnect"
            raise
        finally:
            seconds = monotonic() - answer.started
            self._metrics.ended(outcome, seconds, answer.prompt_tokens, answer.tokens, answer.first_token)

    def refused(self) -> None:
        """Count a request that an API refused before it became a question."""
        self._metrics.ended("client_error", 0, 0, 0, None)

    def _draw(self, question: Question) -> Draw:
        limits = self.release.sampling
        draw = Draw(limits.max_tokens, limits.temperature, limits.top_p, limits.seed)
        if question.max_tokens is not None:
            if question.max_tokens > limits.max_tokens:
                raise Refusal(
                    400,
                    "max_tokens_too_large",
                    f"{question.max_tokens_name} is {question.max_tokens}: release {self.release.id} answers with at "
                    f"most {limits.max_tokens} tokens. Ask for fewer or leave it out.",
                    question.max_tokens_name,
                )
            draw = replace(draw, max_tokens=question.max_tokens)
        if question.temperature is not None:
            draw = replace(draw, temperature=question.temperature)
        if question.top_p is not None:
            draw = replace(draw, top_p=question.top_p)
        if question.seed is not None:
            draw = replace(draw, seed=question.seed)
        return draw

    def _with_release_prompt(self, messages: Sequence[Message]) -> Sequence[Message]:
        # The release's prompt always stands first and is never replaced: it was reviewed with the release.
        system = [self.release.prompt.system] if self.release.prompt.system else []
        system += [message.content for message in messages if message.role == "system"]
        turns = [message for message in messages if message.role != "system"]
        return [Message("system", "\n\n".join(system)), *turns] if system else turns

    def _check_length(self, tokens: int) -> None:
        if tokens > self._max_prompt_tokens:
            raise Refusal(
                400,
                "context_length_exceeded",
                f"The prompt has {tokens} tokens; at most {self._max_prompt_tokens} are allowed. Shorten it.",
                "messages",
            )


def _loop_time(deadline: float) -> float:
    return asyncio.get_running_loop().time() + deadline - monotonic()
