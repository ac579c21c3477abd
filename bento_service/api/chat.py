"""`POST /chat`: one prompt in, one answer out."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import JSONResponse

from answering import Question
from api.state import answering_of, limits_of
from api.wire import parse, read_body, unless_disconnected
from engines import Message


class ChatRequest(BaseModel):
    """What `/chat` takes. Unknown fields are refused: a misspelt one would change nothing in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prompt: Annotated[str, StringConstraints(pattern=r"\S")]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None


async def chat(request: Request) -> JSONResponse:
    """Answer one prompt."""
    answering = answering_of(request)
    body = parse(ChatRequest, await read_body(request, limits_of(request).body_bytes))
    question = Question(
        [Message("user", body.prompt)],
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
    )
    answer, text = await unless_disconnected(request, answering.whole(question))
    return JSONResponse(
        {
            "response": text,
            "id": answer.id,
            "release": answering.release.id,
            "model": answering.release.model.id,
            "usage": {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens},
            "finish_reason": answer.finish_reason,
        }
    )
