"""The BentoML service: reads the release, starts its engine, reports health. `bentoml serve service:ChatService`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import cast

import bentoml
from bentoml import Service

from answering import Answering
from api.app import Healthz, build_app
from engines import Engine, EngineError, create_engine
from metrics import Metrics
from release import ReleaseError, load_release
from settings import SettingsError, read_settings

log = logging.getLogger("serinus.chat")

# BentoML imports this module twice: in the supervisor that owns the socket, then in the worker it starts.
_SUPERVISOR = "SERINUS_SUPERVISOR_PID"
os.environ.setdefault(_SUPERVISOR, str(os.getpid()))

try:
    settings = read_settings()
    release = load_release(settings.release_file)
except (ReleaseError, SettingsError) as error:
    sys.exit(f"The service can't start. {error}")

app = build_app(release, settings)


@bentoml.service(
    name="chat",
    workers=1,  # a second worker would be a second copy of the model
    traffic={"timeout": settings.deadline_seconds + 60},  # only a backstop: the service bounds answers itself
    metrics={"enabled": True, "namespace": "bentoml_service"},
    logging={"access": {"enabled": False}},  # the audit log is ours
)
@bentoml.asgi_app(app, path="/")
class ChatService:
    """Answers chats with the release's engine."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._loading: asyncio.Task[None] | None = None

    @bentoml.on_startup
    async def begin(self) -> None:
        """Load beside the server, so that probes get an answer meanwhile."""
        self._loading = asyncio.create_task(self._load())

    @bentoml.on_shutdown
    async def end(self) -> None:
        """Requests in flight have ended: give the engine back."""
        if self._loading is not None:
            self._loading.cancel()
        if self._engine is not None:
            await self._engine.stop()

    async def __is_ready__(self) -> bool:
        """Ready when an answer would be fast, until the drain begins."""
        return app.state.answering is not None and await self.__is_alive__() and not settings.drain_file.exists()

    async def __is_alive__(self) -> bool:
        """Alive unless the engine is beyond help."""
        return self._engine is None or self._engine.alive()

    async def _load(self) -> None:
        try:
            engine = await asyncio.to_thread(create_engine, release)
            self._engine = engine
            await engine.start()
        except EngineError as error:
            log.critical("The engine %s of release %s can't start. %s", release.engine, release.id, error)
            _end_supervisor()
            return
        metrics = Metrics(release.id, release.engine, release.model.id, release.model.revision)
        app.state.answering = Answering(release, engine, metrics, settings.deadline_seconds)
        log.info("release %s is ready", release.id)


cast("Service[ChatService]", ChatService).add_asgi_middleware(Healthz, state_of=app, model=release.model.id)


def _end_supervisor() -> None:
    # The supervisor would start a failed worker again and again; ended with it, the pod shows the reason and backs off.
    os.kill(int(os.environ[_SUPERVISOR]), signal.SIGTERM)
