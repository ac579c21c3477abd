"""From bytes to checked requests, and from refusals to error bodies; both APIs speak the same error shape."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from exchange import Refusal

# A body over the limit is read on and thrown away up to here: a client that is still writing would lose the answer.
DISCARD_BYTES = 64_000_000
BODY_SECONDS = 30

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `Refusal` 413 when it has more than `limit` bytes, 408 when it comes too slowly."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                elif size > DISCARD_BYTES:
                    break
    except TimeoutError as error:
        raise Refusal(408, "body_timeout", f"The body did not arrive within {BODY_SECONDS} s.") from error
    if size > limit:
        raise Refusal(413, "body_too_large", f"The body has more than {limit} bytes. Send a shorter request.")
    return b"".join(chunks)


def parse(model: type[Body], body: bytes) -> Body:
    """Check the body. Raises `Refusal` 400 that names the field and what is allowed."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
    if problem["type"] == "json_invalid":
        raise Refusal(400, "invalid_json", f"The body is not JSON in UTF-8: {problem['msg']}.")
    param = ".".join(str(part) for part in problem["loc"]) or None
    if problem["type"] == "missing":
        message = f"{param} is missing."
    elif problem["type"] == "extra_forbidden":
        message = f"{param} is unknown; allowed are {', '.join(model.model_fields)}."
    else:
        # The value itself stays out: it may be a whole prompt, and messages end up in logs.
        message = f"{param or 'The body'} is wrong: {problem['msg']}."
    raise Refusal(400, "invalid_request", message, param=param)


def error_body(refusal: Refusal) -> dict[str, Any]:
    """The error object of the OpenAI API."""
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    if refusal.status == 429:
        kind = "rate_limit_error"
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def error_response(refusal: Refusal) -> JSONResponse:
    """The refusal as a response, with Retry-After where it is known."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return JSONResponse(error_body(refusal), refusal.status, headers)
