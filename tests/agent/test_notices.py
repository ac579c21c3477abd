"""Notices go to whoever listens, and whoever does not holds up nobody. No URL is ever shown."""

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.agent.notices import MOST_WAITING, Notices
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.notice import Language, language_of, notice
from serinus.rollout.verdict import Verdict

CUT = Deed(Kind.CUT, "chat", "serinus-agent", "7 % errors", datetime(2026, 11, 21, 12, tzinfo=UTC), "v2-0", 20, 0)
SECRET = "s3cret-path"  # noqa: S105 (a test's own)


@dataclass
class Listener:
    """A receiver that keeps what it is told; it refuses the first `refusals` times."""

    refusals: int = 0
    port: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    raw: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=500)
        body = await request.read()
        self.raw.append((body, dict(request.headers)))
        self.told.append(json.loads(body))
        return web.Response()


@asynccontextmanager
async def listening(listener: Listener) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/{path:.*}", listener.answer)
    async with TestServer(app) as server:
        listener.port = server.port or 0
        yield


def tell(listener: Listener, urls: str, hook: bool = False, seconds: float = 20.0) -> float:
    """Send one deed to these receivers, `PORT` being the listener's; return the seconds until it was told."""

    async def run() -> float:
        async with listening(listener):
            whom = {"urls": urls.replace("PORT", str(listener.port))}
            if hook:
                whom |= {"hook": f"http://127.0.0.1:{listener.port}/{SECRET}\n", "hook-secret": "shared\n"}
            notices = Notices(lambda: whom, seconds, wait_seconds=0.01)
            running = asyncio.create_task(notices.run())
            started = time.monotonic()
            notices.send(CUT)
            took = time.monotonic() - started
            await asyncio.wait_for(notices.told(), 50)
            running.cancel()
            return took

    return asyncio.run(run())


def test_every_receiver_is_told() -> None:
    listener = Listener()
    tell(listener, f"# ours\njson://127.0.0.1:PORT/{SECRET}\n\njson://127.0.0.1:PORT/other\n")
    assert [one["title"] for one in listener.told] == ["chat: canary cut, 20 % → 0 %"] * 2
    assert "Why: 7 % errors" in listener.told[0]["message"]


def test_a_pipeline_is_told_with_a_signature() -> None:
    listener = Listener()
    tell(listener, "", hook=True)
    ((body, headers),) = listener.raw
    told = json.loads(body)
    assert (told["kind"], told["service"], told["old"], told["new"]) == ("cut", "chat", 20, 0)
    expected = hmac.new(b"shared", headers["X-Serinus-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Serinus-Signature"] == f"sha256={expected}"


def test_a_receiver_that_refuses_is_asked_again() -> None:
    listener = Listener(refusals=2)
    tell(listener, f"json://127.0.0.1:PORT/{SECRET}\n")
    assert len(listener.told) == 1


def test_receivers_that_are_dead_wrong_or_silent_delay_nobody_and_show_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    listener = Listener()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and never answers
        dead = (
            f"json://127.0.0.1:1/{SECRET}\njson://127.0.0.1:{silent.getsockname()[1]}/{SECRET}\n"
            f"nonsense {SECRET}\nnosuch://{SECRET}\nslack://{SECRET}\n"
        )
        tell(listener, f"{dead}json://127.0.0.1:PORT/{SECRET}\n", hook=True, seconds=2)
    # The live receiver and the pipeline. A slow machine may have them told again: once at least is the promise.
    assert {"receiver" if "title" in one else "pipeline" for one in listener.told} == {"receiver", "pipeline"}
    failed = {vars(one)["receiver"] for one in caplog.records if one.getMessage() == "a notice was not taken"}
    assert failed == {"json in line 1", "json in line 2", "unknown in line 3", "nosuch in line 4", "slack in line 5"}
    ours = [one for one in caplog.records if not one.name.startswith(("asyncio", "aiohttp"))]
    assert SECRET not in "\n".join(f"{one.getMessage()} {vars(one)}" for one in ours)


def test_sending_never_waits_and_never_fails(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(dict)
    for _ in range(MOST_WAITING + 1):
        notices.send(CUT)
    assert [one.getMessage() for one in caplog.records] == ["a notice is lost: too many wait"]


def test_who_reads_chinese_is_told_in_chinese() -> None:
    deed = Deed(Kind.CUT, "chat", "ada", "用户投诉", CUT.at, "v2-0", 20, 0, Verdict.FAIL)
    assert [language_of(scheme) for scheme in ("dingtalk", "feishu", "wecombot")] == [Language.CHINESE] * 3
    assert language_of("slack") is Language.ENGLISH
    title, body = notice(deed, Language.CHINESE)
    assert title == "chat：金丝雀流量已切断，20 % → 0 %"
    assert body.splitlines() == [
        "原因：用户投诉",
        "操作者：ada",
        "时间：2026-11-21T12:00:00+00:00",
        "版本：v2-0",
        "判定：失败",
        "查明后恢复：serinus resume chat --reason …",
    ]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", Kind)
def test_every_deed_has_words_in_every_language(kind: Kind, language: Language) -> None:
    title, body = notice(Deed(kind, "chat", "ada", "why", CUT.at), language)
    assert "chat" in title
    assert "why" in body
    assert "\n" not in title
