"""The engine without a model, by itself."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from engines import Draw, EngineError, Message
from engines.echo import EchoEngine
from engines.options import EchoOptions


async def answer(engine: EchoEngine) -> str:
    prompt = await engine.encode([Message("user", "sing a song")])
    draw = Draw(max_tokens=10, temperature=1.0, top_p=1.0, seed=0)
    return "".join([piece.text async for piece in engine.generate(prompt, draw)])


def test_a_drill_breaks_a_healthy_release_for_as_long_as_its_file_is_there() -> None:
    file = Path(f"/tmp/serinus-drill-{uuid.uuid4()}")
    engine = EchoEngine("v2", EchoOptions(fail_file=str(file)))
    assert asyncio.run(answer(engine)) == "v2 heard: sing a song"
    file.touch()
    try:
        with pytest.raises(EngineError, match="options asked"):
            asyncio.run(answer(engine))
    finally:
        file.unlink()
    assert asyncio.run(answer(engine)) == "v2 heard: sing a song"
