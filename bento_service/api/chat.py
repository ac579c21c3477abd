"""`POST /chat`: one prompt in, one answer out."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.desk import Desk
from engines import Message
from exchange import Answer, Question


class ChatRequest(BaseModel):
    """What `/chat` takes. Unknown fields are refused: a misspelt one would change nothing in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prompt: Annotated[str, StringConstraints(pattern=r"\S")]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    user_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None


class Chat:
    """The route."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def post(self, request: Request) -> Response:
        """Answer one prompt."""
        return await self._desk.take(request, ChatRequest, self._answer)

    async def _answer(self, request: Request, body: ChatRequest, answer: Answer) -> Response:
        desk = self._desk
        question = Question(
            [Message("user", body.prompt)],
            max_tokens=body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
        )
        desk.note(question, answer, body.user_id)
        await desk.whole(request, question, answer)
        content = {
            "response": answer.text,
            "id": answer.id,
            "release": desk.release.id,
            "model": desk.release.model.id,
            "usage": {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens},
            "finish_reason": answer.finish_reason,
        }
        notice = desk.notice(request)
        if notice is not None:
            content["notice"] = notice
        return JSONResponse(content, headers=desk.notice_headers(request))
