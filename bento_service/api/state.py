"""What the running process shares with its handlers."""

from __future__ import annotations

from typing import cast

from starlette.applications import Starlette
from starlette.requests import Request

from answering import Answering, Refusal
from settings import Settings

LOADING_RETRY_SECONDS = 5


def answering_of(request: Request) -> Answering:
    """What answers. Raises `Refusal` 503 while the engine still loads."""
    answering = current_answering(request.app)
    if answering is None:
        raise Refusal(503, "loading", "The model is still loading. Try again.", retry_after=LOADING_RETRY_SECONDS)
    return answering


def limits_of(request: Request) -> Settings:
    """The process's settings."""
    return cast(Settings, request.app.state.settings)


def current_answering(app: Starlette) -> Answering | None:
    """What answers, None until the engine is warm."""
    return cast("Answering | None", app.state.answering)
