"""The described API and the served one are the same, whatever is thrown at it."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.conftest import Server

pytestmark = pytest.mark.usefixtures("no_collection")

PATHS = {"/chat", "/v1/chat/completions", "/v1/feedback", "/healthz", "/v1/models"}
TAKES_A_BODY = ["/chat", "/v1/chat/completions", "/v1/feedback"]
EXAMPLES = int(os.environ.get("SERINUS_FUZZ", "20"))
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


@pytest.mark.parametrize(
    ("path", "mode"),
    [(path, GenerationMode.POSITIVE) for path in sorted(PATHS)]
    + [(path, GenerationMode.NEGATIVE) for path in TAKES_A_BODY],
)
def test_nothing_that_fits_or_breaks_the_schema_is_a_server_error(
    echo: Server, path: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{echo.url}/openapi.json")
    operation = next(iter(schema[path].values()))

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case[Any]) -> None:
        case.validate_response(case.call(timeout=60), checks=CHECKS)

    holds()


def test_every_route_for_users_is_described(client: httpx.Client) -> None:
    assert set(client.get("/openapi.json").json()["paths"]) == PATHS
