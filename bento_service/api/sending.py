"""Sending answers to clients that may leave at any moment: work for a client that has gone stops at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.wire import error_body
from exchange import Refusal

Result = TypeVar("Result")

# What a slow reader gets beyond the answer's own deadline before its place is given to another.
READER_SECONDS = 10


class EventStream(Response):
    """Server-sent events from a generator of JSON objects. A refusal in the middle becomes an error event, so that no
    broken answer looks whole; `[DONE]` ends a whole one. `seconds` bounds the sending."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[Mapping[str, Any], None], headers: Mapping[str, str], seconds: float
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", **headers})
        del self.headers["content-length"]
        self._events = events
        self._seconds = seconds + READER_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client leaves."""
        async with aclosing(self._events):
            await unless_disconnected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        async with asyncio.timeout(self._seconds):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                async for event in self._events:
                    await send(_body(json.dumps(event, ensure_ascii=False), more=True))
                await send(_body("[DONE]", more=False))
            except Refusal as refusal:
                await send(_body(json.dumps(error_body(refusal)), more=False))


async def unless_disconnected(receive: Receive, work: Coroutine[None, None, Result]) -> Result:
    """Run `work` to its end, or cancel it as soon as the client has gone. Raises `ClientDisconnect` then."""
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(receive))
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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(data: str, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": more}
