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

from admission import Admission
from answering import Answering
from api.app import Healthz, build_app
from api.desk import Desk
from audit import AuditLog
from capture import Capture, CaptureError
from engines import Engine, EngineError, create_engine
from identity import Identity, KeyFileError
from metrics import Metrics
from quality import Quality
from release import Release, ReleaseError, load_release
from scoring import ScorerError, Scoring
from settings import Settings, SettingsError, read_settings

log = logging.getLogger("serinus.chat")

# BentoML imports this module twice: in the supervisor that owns the socket, then in the worker it starts.
_SUPERVISOR = "SERINUS_SUPERVISOR_PID"
os.environ.setdefault(_SUPERVISOR, str(os.getpid()))


def _open_desk(release: Release, settings: Settings) -> Desk:
    identity = Identity.read(settings.key_file)
    metrics = Metrics(release.id, release.engine, release.model.id, release.model.revision)
    options = release.engine_options()
    admission = Admission(options.max_concurrency, options.max_queue, metrics.running, metrics.waiting)
    observers = [metrics.ended, Quality(release.id).ended, AuditLog(release, settings.audit_file).ended]
    if settings.capture is not None:
        observers.append(Capture(release.id, settings.capture).ended)
    if settings.scorer is not None:
        observers.append(Scoring(release.id, settings.scorer, settings.scorer_ratio).ended)
    answering = Answering(release, admission, settings.deadline_seconds, observers)
    return Desk(release, settings, identity, metrics, answering)


try:
    settings = read_settings()
    desk = _open_desk(load_release(settings.release_file), settings)
except (ReleaseError, SettingsError, KeyFileError, CaptureError, ScorerError, OSError) as error:
    sys.exit(f"The service can't start. {error}")


@bentoml.service(
    name="chat",
    # For `bentoml build`; the hashed lock is installed as it is, not resolved anew.
    image=bentoml.images.Image(python_version="3.11", lock_python_packages=False).requirements_file("requirements.txt"),
    workers=1,  # a second worker would be a second copy of the model
    traffic={"timeout": settings.deadline_seconds + 60},  # only a backstop: the service bounds answers itself
    # Its counters take a stream that broke for a success, and keep a series for every path that anyone tries.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},  # the audit log says more
)
@bentoml.asgi_app(build_app(desk), path="/")
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
        engine = desk.answering.engine
        return engine is not None and engine.ready() and not settings.drain_file.exists()

    async def __is_alive__(self) -> bool:
        """Alive unless the engine is beyond help."""
        return self._engine is None or self._engine.alive()

    async def _load(self) -> None:
        release = desk.release
        try:
            engine = await asyncio.to_thread(create_engine, release)
            self._engine = engine
            await engine.start()
        except EngineError as error:
            log.critical("The engine %s of release %s can't start. %s", release.engine, release.id, error)
            _end_supervisor()
            return
        desk.answering.engine = engine
        log.info("release %s is ready", release.id)


cast("Service[ChatService]", ChatService).add_asgi_middleware(Healthz, desk=desk)


def _end_supervisor() -> None:
    # The supervisor would start a failed worker again and again; ended with it, the pod shows the reason and backs off.
    os.kill(int(os.environ[_SUPERVISOR]), signal.SIGTERM)
