"""The ASGI application that BentoML mounts: routes, errors in one shape, the release on every answer."""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.chat import Chat
from api.desk import Desk
from api.feedback import Feedback
from api.keeping import KeepCookie
from api.openai import OpenAI
from api.schema import Schema
from api.wire import error_response
from exchange import Refusal
from metrics import exposition

log = logging.getLogger("serinus.chat")

CLIENT_GONE = 499  # nobody reads it; the number that gateways log for a client that left


class ReleaseHeader:
    """Names the release on every answer, errors included, so that a client or a gateway log can tell who spoke."""

    def __init__(self, app: ASGIApp, release_id: str) -> None:
        self._app = app
        self._header = (b"x-serinus-release", release_id.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, adding the header to the start of the response."""

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        await self._app(scope, receive, named)


class Healthz:
    """`GET /healthz` with the model's name; BentoML's own answer on that path is an empty line."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the one path, pass everything else on."""
        if scope["type"] != "http" or scope["path"] != "/healthz":
            await self._app(scope, receive, send)
            return
        loaded = self._desk.answering.engine is not None
        body = {"status": "ok" if loaded else "loading", "model": self._desk.release.model.id}
        await JSONResponse(body, 200 if loaded else 503)(scope, receive, send)


class Exposition:
    """`GET /metrics`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self, _: Request) -> Response:
        """All series; the engine's load is read now."""
        engine = self._desk.answering.engine
        if engine is not None:
            self._desk.metrics.loaded(engine.load())
        # Reading the values takes milliseconds, and answers in flight must not wait for it.
        return Response(await asyncio.to_thread(exposition), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def build_app(desk: Desk) -> Starlette:
    """The application; it answers 503 until the engine is warm."""
    openai = OpenAI(desk)
    return Starlette(
        routes=[
            Route("/chat", Chat(desk).post, methods=["POST"]),
            Route("/v1/chat/completions", openai.completions, methods=["POST"]),
            Route("/v1/models", openai.models, methods=["GET"]),
            Route("/v1/models/{name:path}", openai.model, methods=["GET"]),
            Route("/v1/feedback", Feedback(desk).post, methods=["POST"]),
            Route("/openapi.json", Schema(desk.release.id).get, methods=["GET"]),
            Route("/metrics", Exposition(desk).get, methods=["GET"]),
        ],
        middleware=[
            Middleware(ReleaseHeader, release_id=desk.release.id),
            Middleware(KeepCookie, release_id=desk.release.id),
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _client_gone,
            Exception: _unexpected,
        },
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for this class alone
    return error_response(error)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    response = error_response(Refusal(error.status_code, "invalid_url", str(error.detail)))
    response.headers.update(error.headers or {})
    return response


async def _client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _unexpected(_: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return error_response(Refusal(500, "internal_error", "An unexpected error; it is in the service's log."))
