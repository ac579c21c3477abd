"""From bytes to checked requests, and from refusals to error bodies; both APIs speak the same error shape."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from answering import Refusal

# A body over the limit is read on and thrown away up to here: a client that is still writing would lose the answer.
DISCARD_BYTES = 64_000_000
BODY_SECONDS = 30

Body = TypeVar("Body", bound=BaseModel)
Result = TypeVar("Result")


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
    """Check the body. Raises `Refusal` 400 that names the field, the value and what is allowed."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
    if problem["type"] == "json_invalid":
        raise Refusal(400, "invalid_json", f"The body is not JSON: {problem['msg']}.")
    param = ".".join(str(part) for part in problem["loc"]) or None
    if problem["type"] == "missing":
        message = f"{param} is missing."
    elif problem["type"] == "extra_forbidden":
        message = f"{param} is unknown; allowed are {', '.join(model.model_fields)}."
    else:
        # The value itself stays out: it may be a whole prompt, and messages end up in logs.
        message = f"{param or 'The body'} is wrong: {problem['msg']}."
    raise Refusal(400, "invalid_request", message, param)


def error_body(refusal: Refusal) -> dict[str, object]:
    """The error object of the OpenAI API."""
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    if refusal.status == 429:
        kind = "rate_limit_error"
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def error_response(refusal: Refusal) -> JSONResponse:
    """The refusal as a response, with Retry-After where it is known."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return JSONResponse(error_body(refusal), refusal.status, headers)


async def unless_disconnected(request: Request, work: Coroutine[None, None, Result]) -> Result:
    """Run `work` to its end, or cancel it as soon as the client has gone. Raises `ClientDisconnect` then."""
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
