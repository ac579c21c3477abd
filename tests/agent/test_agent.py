"""The whole agent in this process: its loops, its door and its end, against servers that count and answer."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from serinus.agent.agent import run
from serinus.rollout.share import WEIGHT
from tests.agent.rollout_server import CountingGateway, RolloutServer, serving, settings

LEASE = "/apis/coordination.k8s.io/v1/namespaces/llm/leases/chat-agent"
PROOF = "a token of some length"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_it_leads_sees_and_cuts_without_a_watch_and_ends_when_asked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(PROOF)
    server, gateway = RolloutServer(), CountingGateway()
    server.put(LEASE, {"kind": "Lease", "metadata": {"name": "chat-agent"}})

    async def metrics(request: web.Request) -> web.Response:
        gateway.count()
        return web.Response(text=gateway.page())

    async def play() -> str:
        stop = asyncio.Event()
        async with serving(server.answer) as api, serving(metrics) as traefik, aiohttp.ClientSession() as session:
            port = free_port()
            chosen = settings(
                gateway=(f"{traefik}/metrics",),
                kubeconfig=kubeconfig(tmp_path, api),
                port=port,
                token_file=tmp_path / "token",
                look_seconds=0.1,
            )
            agent = asyncio.create_task(run(chosen, stop, watching=False))
            await until(lambda: server.status.get("verdict") == "insufficient" or agent.done())
            door = f"http://127.0.0.1:{port}"
            async with session.get(f"{door}/readyz") as answer:
                assert answer.status == 200
            headers = {"Authorization": f"Bearer {PROOF}"}
            body = {"service": "chat", "reason": "it sings flat"}
            async with session.post(f"{door}/v1/rollback", json=body, headers=headers) as answer:
                assert answer.status == 202
            await until(lambda: "hold" in server.status or agent.done())
            async with session.get(f"{door}/metrics") as answer:
                page = await answer.text()
            stop.set()
            await agent
        return page

    page = asyncio.run(play())
    assert server.annotations[WEIGHT] == "0"
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    for line in (
        'serinus_agent_leads{serinus_service="chat"} 1.0',
        "serinus_demands_total 1.0",
        'serinus_canary_held{serinus_service="chat"} 1.0',
    ):
        assert line in page, line
