"""The part of the OpenAI API that chat clients use, so that people's clients work as they are: chat completions, whole
or streamed, and the list of models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.desk import Desk
from api.sending import EventStream, unless_disconnected
from engines import Message, Piece
from exchange import Answer, Question, Refusal


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class TextPart(_Strict):
    """A part of a message; only text is understood."""

    type: Literal["text"]
    text: str


class ChatMessage(_Strict):
    """A turn. A system or developer message stands after the release's own prompt."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]


class StreamOptions(_Strict):
    """What a stream carries besides text."""

    include_usage: bool = False


class ResponseFormat(_Strict):
    """Only plain text can be promised."""

    type: Literal["text"]


class CompletionRequest(_Strict):
    """What `/v1/chat/completions` takes. Fields that would change the answer in a way this service can't are taken only
    with their neutral value; fields that change nothing, such as `metadata`, are ignored as OpenAI's clients expect."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(max_length=256)] | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    functions: Annotated[list[Any], Field(max_length=0)] | None = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    response_format: ResponseFormat | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None


class OpenAI:
    """The routes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        release = desk.release
        # Clients name a model once and for all, but a canary may be another model: the aliases outlive releases.
        self._names = list(dict.fromkeys([release.model.id, release.id, *desk.settings.model_aliases]))

    async def models(self, _: Request) -> Response:
        """The names that a request may give as its model."""
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self._names]})

    async def model(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["name"]
        self._check_model(name)
        return JSONResponse(self._model(name))

    async def completions(self, request: Request) -> Response:
        """Answer a conversation."""
        return await self._desk.take(request, CompletionRequest, self._answer)

    async def _answer(self, request: Request, body: CompletionRequest, answer: Answer) -> Response:
        self._check_model(body.model)
        question = _question(body)
        self._desk.note(question, answer, body.user)
        headers = self._desk.notice_headers(request)
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return await self._stream(request, question, answer, usage, headers)
        await self._desk.whole(request, question, answer)
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
        body_out = {**self._envelope(answer, "chat.completion"), "choices": [choice], "usage": _usage(answer)}
        notice = self._desk.notice(request)
        if notice is not None:
            body_out["notice"] = notice
        return JSONResponse(body_out, headers=headers)

    async def _stream(
        self, request: Request, question: Question, answer: Answer, usage: bool, headers: Mapping[str, str]
    ) -> Response:
        pieces = self._desk.answering.stream(question, answer)
        # Until the first piece a refusal can still be a status; from then on it is an event.
        try:
            first = await unless_disconnected(request.receive, _first(pieces))
        except BaseException:
            await pieces.aclose()
            raise
        events = self._events(first, pieces, answer, usage)
        return EventStream(events, headers, self._desk.answering.seconds_left(answer))

    async def _events(
        self, first: Piece, pieces: AsyncGenerator[Piece, None], answer: Answer, usage: bool
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        envelope = self._envelope(answer, "chat.completion.chunk")
        if usage:
            envelope["usage"] = None
        async with aclosing(pieces):
            yield {**envelope, "choices": [_choice({"role": "assistant", "content": first.text}, first)]}
            async for piece in pieces:
                yield {**envelope, "choices": [_choice({"content": piece.text}, piece)]}
        if usage:
            yield {**envelope, "choices": [], "usage": _usage(answer)}

    def _envelope(self, answer: Answer, kind: str) -> dict[str, Any]:
        release = self._desk.release
        return {
            "id": answer.id,
            "object": kind,
            "created": int(answer.received_at),
            "model": release.model.id,
            "system_fingerprint": release.id,
        }

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 0, "owned_by": "serinus"}

    def _check_model(self, name: str) -> None:
        if name not in self._names:
            known = ", ".join(self._names)
            raise Refusal(404, "model_not_found", f"The model does not exist; there are {known}.", param="model")


def _question(body: CompletionRequest) -> Question:
    messages = [_message(message) for message in body.messages]
    if not any(message.role == "user" and message.content.strip() for message in messages):
        raise Refusal(400, "invalid_request", "messages holds no user message with text.", param="messages")
    longer_name = body.max_completion_tokens is not None
    return Question(
        messages,
        max_tokens=body.max_completion_tokens if longer_name else body.max_tokens,
        max_tokens_name="max_completion_tokens" if longer_name else "max_tokens",
        temperature=body.temperature,
        top_p=body.top_p,
        seed=None if body.seed is None else body.seed % 2**31,
        stop=[body.stop] if isinstance(body.stop, str) else body.stop or [],
    )


def _message(message: ChatMessage) -> Message:
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    return Message("system" if message.role == "developer" else message.role, text)


async def _first(pieces: AsyncGenerator[Piece, None]) -> Piece:
    return await anext(pieces)


def _choice(delta: Mapping[str, str], piece: Piece) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": piece.finish_reason}


def _usage(answer: Answer) -> dict[str, int]:
    total = answer.prompt_tokens + answer.tokens
    return {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens, "total_tokens": total}
