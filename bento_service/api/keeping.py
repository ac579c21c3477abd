"""Hands a conversation's client the note by which the gateway keeps it on this release.

With a request the gateway may bring one note per release, as JSON in a header: release id to Set-Cookie. Who answers
hands out its own. What the note says is the gateway's business.
"""

from __future__ import annotations

import json
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-serinus-keep"
_LONGEST = 4096
_A_COOKIE = re.compile(r"[!-~][ -~]{0,511}")
_FIRST_REFUSAL = 400


class KeepCookie:
    """Adds the cookie to every answer that is one: a conversation that was refused has not begun here."""

    def __init__(self, app: ASGIApp, release_id: str) -> None:
        self._app = app
        self._release_id = release_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, adding the cookie to the start of the response where the request brings one."""
        notes = Headers(scope=scope).getlist(HEADER) if scope["type"] == "http" else []
        cookie = own_note(notes[0], self._release_id) if len(notes) == 1 else ""

        async def kept(message: Message) -> None:
            if cookie and message["type"] == "http.response.start" and message["status"] < _FIRST_REFUSAL:
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
            await send(message)

        await self._app(scope, receive, kept)


def own_note(notes: str, release_id: str) -> str:
    """The Set-Cookie for this release; empty where there is none, or nothing that can be one."""
    if len(notes) > _LONGEST:
        return ""
    try:
        found = json.loads(notes)
    except (ValueError, RecursionError):
        return ""
    own = found.get(release_id) if isinstance(found, dict) else None
    return own if isinstance(own, str) and _A_COOKIE.fullmatch(own) else ""
