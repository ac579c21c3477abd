"""The agent's door: alerts and people's demands come in here, and probes and metrics are read.

Who sends must prove it by a token, and the token says for which service they may speak. What is sent is parsed before
it is believed. A demand is answered with 202 once it stands in the cluster: an agent that dies right after that has
kept its word. No cut waits for the answer, and the answer waits for a few seconds at most, since Alertmanager gives up
on a slow receiver. It sends again after a 5xx only, so whatever may go well later is a 503.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from serinus.agent.openapi import document
from serinus.rollout.alertmanager import LONGEST_REASON, Payload, plain, read
from serinus.rollout.complaints import complaints
from serinus.rollout.demand import Action, Demand
from serinus.rollout.rollback import Rollback

LARGEST_BODY = 1024 * 1024
_BODY_SECONDS = 10.0
_RETRY_SECONDS = "1"
_STAND_SECONDS = 3.0
_MOST_MISTAKES = 10

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Model = TypeVar("_Model", bound=BaseModel)


class Caller(Protocol):
    """A service for which somebody may speak."""

    @property
    def service(self) -> str:
        """The service's name."""

    def once(self, demand: Demand) -> bool | None:
        """Hand a demand on without waiting: True taken, False taken before, None not now."""

    async def stood(self) -> None:
        """Wait until all that was taken stands where the end of this process can't take it away."""


Callers = Callable[[bytes], Sequence[Caller] | None]
"""The services for which whoever shows a token may speak; None while nobody can tell."""


def make_app(
    callers: Callers,
    healthy: Callable[[], bool],
    ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    stand_seconds: float = _STAND_SECONDS,
) -> web.Application:
    """Build the application. A demand that does not stand after `stand_seconds` is to be sent again."""
    logging.getLogger("aiohttp.server").addFilter(_no_garbage)
    door = _Door(callers, stand_seconds)
    app = web.Application(middlewares=[_as_json], client_max_size=LARGEST_BODY)
    app.router.add_post("/v1/alerts", door.alerts)
    app.router.add_post("/v1/rollback", door.rollback)
    app.router.add_get("/healthz", _probe(healthy))
    app.router.add_get("/readyz", _probe(ready))
    app.router.add_get("/metrics", _metrics(metrics))
    app.router.add_get("/openapi.json", _openapi)
    return app


def _no_garbage(record: logging.LogRecord) -> bool:
    """Drop what the server logs of bytes that are no HTTP, a traceback each with the bytes in it. It answers 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class _Door:
    """The two ways in that change something."""

    def __init__(self, callers: Callers, stand_seconds: float) -> None:
        self._callers = callers
        self._stand_seconds = stand_seconds

    async def alerts(self, request: web.Request) -> web.Response:
        """Take what Alertmanager sends. The same alert counts once."""
        callers = self._let_in(request)
        found = read(await _body(request, Payload))
        if found.mistakes:
            # How many, not which: the values are somebody else's and may be anything.
            _log.warning("alerts with mistakes were left out", extra={"mistakes": len(found.mistakes)})
        spoken_for = {one.service for one in callers}
        ours = [one for one in found.demands if one.service in spoken_for]
        taken = sum(_hand_on(demand, callers) for demand in ours)
        asked = {one.service for one in ours}
        await self._stood(one for one in callers if one.service in asked)
        told = {
            "taken": taken,
            "known": len(ours) - taken,
            "resolved": found.resolved,
            "foreign": found.foreign + len(found.demands) - len(ours),
            "mistakes": found.mistakes,
        }
        return web.json_response(told, status=202)

    async def rollback(self, request: web.Request) -> web.Response:
        """Take one demand for a rollback."""
        callers = self._let_in(request)
        asked = await _body(request, Rollback)
        if all(asked.service != one.service for one in callers):
            named = ", ".join(sorted({one.service for one in callers}))
            raise _Refused(404, f"service: this token speaks for {named} only")
        demand = Demand(
            service=asked.service,
            action=Action.ROLLBACK,
            reason=plain(asked.reason, LONGEST_REASON),
            by=plain(asked.by, LONGEST_REASON),
            # Without a mark of the sender's each one counts: a cut twice is a cut.
            fingerprint=f"rollback/{asked.id or uuid.uuid4()}",
            at=datetime.now(UTC),
        )
        taken = _hand_on(demand, callers)
        await self._stood(one for one in callers if one.service == asked.service)
        return web.json_response({"taken": int(taken), "known": int(not taken)}, status=202)

    async def _stood(self, callers: Iterable[Caller]) -> None:
        """Wait until what was handed on stands. What was taken before may not stand yet either."""
        try:
            async with asyncio.timeout(self._stand_seconds):
                for one in callers:
                    await one.stood()
        except TimeoutError:
            raise _Refused(503, "it is not written down in the cluster yet; send it again") from None

    def _let_in(self, request: web.Request) -> Sequence[Caller]:
        """Return for whom the request may speak; raise where for nobody. Nothing of the body is read before."""
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        token = given.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""
        callers = self._callers(token) if token else ()
        if callers is None:
            raise _Refused(503, "not every service is known yet; send it again")
        if not callers:
            raise _Refused(401, "Authorization: a bearer token is needed, the one of the service's Secret")
        return callers


def _hand_on(demand: Demand, callers: Sequence[Caller]) -> bool:
    """Hand a demand on; False where it was taken before. What is not taken now will be sent again."""
    done = [one.once(demand) for one in callers if one.service == demand.service]
    if None in done:
        raise _Refused(503, "not now; send it again")
    return any(done)


class _Refused(Exception):  # noqa: N818 (an answer, not an error of ours)
    """An answer that refuses: status code and what to tell."""

    def __init__(self, status: int, told: str | list[str]) -> None:
        super().__init__(status, told)
        self.status = status
        self.told = [told] if isinstance(told, str) else told


async def _body(request: web.Request, model: type[_Model]) -> _Model:
    """Read and parse the body. Raises _Refused with 400, 408, 413, 415 or 422."""
    if request.content_type != "application/json" or hdrs.CONTENT_ENCODING in request.headers:
        raise _Refused(415, "Content-Type: application/json is needed, without a Content-Encoding")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise _Refused(408, f"the body took more than {_BODY_SECONDS:.0f} s") from None
    except (ConnectionError, web.RequestPayloadError, HttpProcessingError):
        raise _Refused(400, "the body ended early") from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        if any(one["type"] == "json_invalid" for one in error.errors()):
            raise _Refused(400, "the body is no JSON") from None
        raise _Refused(422, complaints(model, error)[:_MOST_MISTAKES]) from None


@web.middleware
async def _as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer every refusal as JSON, those of the server itself as well."""
    try:
        return await handler(request)
    except _Refused as refused:
        status, told, headers = refused.status, refused.told, {}
        if status == 401:
            headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        if status == 503:
            headers[hdrs.RETRY_AFTER] = _RETRY_SECONDS
    except web.HTTPException as error:
        status, told = error.status, [error.reason]
        headers = {hdrs.ALLOW: error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
    return web.json_response({"errors": told}, status=status, headers=headers)


def _probe(holds: Callable[[], bool]) -> _Handler:
    async def answer(_: web.Request) -> web.Response:
        well = holds()
        return web.json_response({"status": "ok" if well else "not ready"}, status=200 if well else 503)

    return answer


def _metrics(metrics: Callable[[], bytes]) -> _Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={hdrs.CONTENT_TYPE: "text/plain; version=0.0.4; charset=utf-8"})

    return answer


_DOCUMENT = json.dumps(document())


async def _openapi(_: web.Request) -> web.Response:
    return web.Response(text=_DOCUMENT, content_type="application/json")
