"""What the agent's door takes and answers, as OpenAPI: for callers, and for those who try to break it."""

from typing import Any

from serinus.rollout.alertmanager import Alert, Payload
from serinus.rollout.rollback import Rollback

_ERRORS = {
    "400": "the body is no JSON",
    "401": "no token, or a wrong one",
    "404": "another service than the token speaks for",
    "408": "the body came too slowly",
    "413": "the body is larger than 1 MiB",
    "415": "not application/json, or encoded",
    "422": "the body says something else than is allowed",
    "503": "not now; send it again",
}


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Serinus agent",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/v1/alerts": {"post": _taking("Alerts of Alertmanager, webhook version 4", _payload())},
            "/v1/rollback": {"post": _taking("Roll a canary back at once", _schema(Rollback))},
            "/healthz": {"get": _telling("The agent's loop turns", "application/json", probe=True)},
            "/readyz": {"get": _telling("The agent can act", "application/json", probe=True)},
            "/metrics": {"get": _telling("The agent's metrics", "text/plain")},
            "/openapi.json": {"get": _telling("This document", "application/json")},
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _taking(summary: str, body: dict[str, Any]) -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    taken = {"type": "object", "required": ["taken", "known"], "properties": {"taken": count, "known": count}}
    errors = {
        "type": "object",
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "items": {"type": "string"}}},
    }
    return {
        "summary": summary,
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"202": _answer("taken, or known already, and written in the cluster", "application/json", taken)}
        | {code: _answer(told, "application/json", errors) for code, told in _ERRORS.items()},
    }


def _telling(summary: str, type_: str, probe: bool = False) -> dict[str, Any]:
    schema = {"type": "string"} if type_ == "text/plain" else {"type": "object"}
    told = {"200": _answer(summary, type_, schema)}
    return {"summary": summary, "responses": told | ({"503": _answer("not so", type_, schema)} if probe else {})}


def _answer(description: str, type_: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {type_: {"schema": schema}}}


def _payload() -> dict[str, Any]:
    """The alerts are parsed one by one, so the model of the whole does not say what they are."""
    schema = _schema(Payload)
    schema["properties"]["alerts"]["items"] = _schema(Alert)
    return schema


def _schema(model: type[Payload | Alert | Rollback]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)
