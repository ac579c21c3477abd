"""No test of a rule starts the engine: what stood there before is nothing, where a test does not say otherwise."""

from collections.abc import Mapping
from typing import Any

import pytest

from policies import checkpoint


@pytest.fixture(autouse=True)
def _nothing_before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.module.__name__.endswith("test_checkpoint"):
        return

    def nothing(urn: str) -> list[Mapping[str, Any]]:
        return []

    monkeypatch.setattr(checkpoint, "states", nothing)
