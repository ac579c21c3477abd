"""One request's way to its answer, the same for every API: limits, a place, the engine, the clock, the count.

APIs translate shapes and statuses; nothing else stands there. However a request ends, it is reported exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from time import monotonic

from admission import Admission, Overloaded
from engines import Draw, Engine, EngineBusy, EngineError, Message, Piece, Prompt, PromptRefused
from exchange import Answer, Question, Refusal
from release import Release
from stopping import StopFilter

log = logging.getLogger("serinus.chat")

LOADING_RETRY_SECONDS = 5
BUSY_RETRY_SECONDS = 1


class Answering:
    """Answers questions with one engine under the release's and the process's limits; `engine` is None until it is
    warm. Each of `observers` is told of every request's end."""

    def __init__(
        self,
        release: Release,
        admission: Admission,
        deadline_seconds: float,
        observers: Sequence[Callable[[Answer], None]],
    ) -> None:
        self.engine: Engine | None = None
        self._release = release
        self._deadline_seconds = deadline_seconds
        self._max_prompt_tokens = release.engine_options().max_prompt_tokens
        self._admission = admission
        self._observers = observers

    async def stream(self, question: Question, answer: Answer) -> AsyncGenerator[Piece, None]:
        """The answer's pieces. Raises `Refusal`, also in the middle of an answer; closing it stops the engine."""
        try:
            async with aclosing(self._pieces(question, answer)) as pieces:
                async for piece in pieces:
                    if answer.first_token is None:
                        answer.first_token = monotonic()
                    answer.tokens += piece.tokens
                    answer.parts.append(piece.text)
                    answer.finish_reason = piece.finish_reason
                    if piece.text or piece.finish_reason is not None:
                        yield piece
            answer.outcome = "ok"
        except Refusal as refusal:
            answer.outcome, answer.error = refusal.outcome, refusal.code
            raise
        except (asyncio.CancelledError, GeneratorExit):
            # The reader left. One who leaves after the last piece has the whole answer.
            answer.outcome = "ok" if answer.finish_reason is not None else "client_disconnect"
            raise
        finally:
            self._report(answer)

    def refused(self, answer: Answer, refusal: Refusal) -> None:
        """Report a request that never became a question."""
        answer.outcome, answer.error = refusal.outcome, refusal.code
        self._report(answer)

    def seconds_left(self, answer: Answer) -> float:
        """How long the answer may still take."""
        return answer.started + self._deadline_seconds - monotonic()

    async def _pieces(self, question: Question, answer: Answer) -> AsyncGenerator[Piece, None]:
        draw = self._draw(question)
        if self.engine is None:
            message = "The model is still loading. Try again."
            raise Refusal(503, "loading", message, retry_after=LOADING_RETRY_SECONDS, outcome="overload")
        stops = StopFilter(question.stop)
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self.seconds_left(answer)):
                    prompt = await self.engine.encode(self._with_release_prompt(question.messages))
                    answer.prompt_tokens = prompt.tokens
                    self._check_length(prompt)
                    await stack.enter_async_context(self._admission.place())
                pieces = await stack.enter_async_context(aclosing(self.engine.generate(prompt, draw)))
                finish_reason = None
                while finish_reason is None:
                    async with asyncio.timeout(self.seconds_left(answer)):
                        piece = await anext(pieces)
                    if piece.prompt_tokens is not None:
                        answer.prompt_tokens = piece.prompt_tokens
                    text = stops.feed(piece.text)
                    finish_reason = "stop" if stops.stopped else piece.finish_reason
                    if finish_reason is not None:
                        text += stops.rest()
                    yield Piece(text, piece.tokens, finish_reason)
        except Overloaded as error:
            message = "The service is busy: its queue is full. Try again after the time in Retry-After."
            raise Refusal(429, "overloaded", message, retry_after=error.retry_after, outcome="overload") from error
        except EngineBusy as error:
            message = "The model takes no more requests just now. Try again after the time in Retry-After."
            raise Refusal(429, "overloaded", message, retry_after=BUSY_RETRY_SECONDS, outcome="overload") from error
        except PromptRefused as error:
            raise Refusal(400, "prompt_refused", str(error)) from error
        except TimeoutError as error:
            message = f"No whole answer within {self._deadline_seconds:g} s. Ask for fewer tokens or try again."
            raise Refusal(504, "deadline_exceeded", message, outcome="timeout") from error
        except (EngineError, StopAsyncIteration) as error:
            log.error("answer %s failed: %s", answer.id, error)
            message = "The model could not answer. Try again."
            raise Refusal(500, "engine_error", message, outcome="engine_error") from error

    def _draw(self, question: Question) -> Draw:
        limits = self._release.sampling
        if question.max_tokens is not None and question.max_tokens > limits.max_tokens:
            raise Refusal(
                400,
                "max_tokens_too_large",
                f"{question.max_tokens_name} is {question.max_tokens}: release {self._release.id} answers with at "
                f"most {limits.max_tokens} tokens. Ask for fewer or leave it out.",
                param=question.max_tokens_name,
            )
        return Draw(
            max_tokens=limits.max_tokens if question.max_tokens is None else question.max_tokens,
            temperature=limits.temperature if question.temperature is None else question.temperature,
            top_p=limits.top_p if question.top_p is None else question.top_p,
            seed=limits.seed if question.seed is None else question.seed,
        )

    def _with_release_prompt(self, messages: Sequence[Message]) -> Sequence[Message]:
        # The release's prompt always stands first and is never replaced: it was reviewed with the release.
        system = [self._release.prompt.system] if self._release.prompt.system else []
        system += [message.content for message in messages if message.role == "system"]
        turns = [message for message in messages if message.role != "system"]
        return [Message("system", "\n\n".join(system)), *turns] if system else turns

    def _check_length(self, prompt: Prompt) -> None:
        if prompt.tokens > self._max_prompt_tokens:
            raise Refusal(
                400,
                "context_length_exceeded",
                f"The prompt has {prompt.tokens} tokens; at most {self._max_prompt_tokens} are allowed. Shorten it.",
            )

    def _report(self, answer: Answer) -> None:
        answer.ended = monotonic()
        for observer in self._observers:
            observer(answer)
