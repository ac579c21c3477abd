"""The API described in OpenAPI, from the very models that check its requests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.chat import ChatRequest
from api.feedback import FeedbackRequest
from api.openai import CompletionRequest

_REQUESTS: dict[str, tuple[type[BaseModel], str, int]] = {
    "/chat": (ChatRequest, "Answer one prompt", 200),
    "/v1/chat/completions": (CompletionRequest, "Answer a conversation, whole or as server-sent events", 200),
    "/v1/feedback": (FeedbackRequest, "Rate or report an answer", 202),
}
_READS = {"/healthz": "Which model answers", "/v1/models": "The names of the model"}
_PROBLEMS = {
    "400": "The request is wrong; `param` names the field",
    "404": "There is no such model or answer",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "429": "The service is busy; see Retry-After",
    "500": "The model could not answer",
    "503": "The model is still loading; see Retry-After",
    "504": "The answer took too long",
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def openapi(release_id: str) -> dict[str, Any]:
    """The document."""
    models = [(model, "validation") for model, _, _ in _REQUESTS.values()]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas = {**definitions["$defs"], "Error": _ERROR}
    problem = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    problems = {status: {"description": text, **problem} for status, text in _PROBLEMS.items()}
    paths: dict[str, Any] = {
        path: {
            "post": {
                "summary": summary,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
                },
                "responses": {str(status): {"description": "Done"}, **problems},
            }
        }
        for path, (model, summary, status) in _REQUESTS.items()
    }
    for path, summary in _READS.items():
        paths[path] = {"get": {"summary": summary, "responses": {"200": {"description": "Done"}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Serinus model service", "version": release_id},
        "paths": paths,
        "components": {"schemas": schemas},
    }


class Schema:
    """The route."""

    def __init__(self, release_id: str) -> None:
        self._document = openapi(release_id)

    async def get(self, _: Request) -> Response:
        """The document as JSON."""
        return JSONResponse(self._document)
