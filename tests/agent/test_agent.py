"""The whole agent in this process: its loops, its door and its end, against servers that count and answer."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from serinus.agent.agent import run
from serinus.agent.place import Place
from serinus.agent.settings import Settings
from serinus.rollout.share import WEIGHT
from tests.agent.rollout_server import PLACE, RULES, CountingGateway, RolloutServer, secret, serving
from tests.agent.small_api_server import said

LEASE = "/apis/coordination.k8s.io/v1/namespaces/serinus-system/leases/serinus-agent"
PROOF = "a token of some length"
ANOTHER = "another token of some length"
TOO_SHORT = "short"


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


class Cluster:
    """An agent in this process with its servers: an API server, and a gateway that counts for all services."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = RolloutServer()
        self.server.put(LEASE, {"kind": "Lease", "metadata": {"name": "serinus-agent"}})
        self.gateways = [CountingGateway(PLACE)]
        self.door = f"http://127.0.0.1:{free_port()}"

    async def metrics(self, request: web.Request) -> web.Response:
        for gateway in self.gateways:
            gateway.count()
        return web.Response(text="".join(gateway.page() for gateway in self.gateways))

    def play(self, story: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> str:
        """Run the agent, a story beside it, and end it; return what its metrics were at the end of the story."""

        async def run_both() -> str:
            stop = asyncio.Event()
            async with (
                serving(self.server.answer) as api,
                serving(self.metrics) as traefik,
                aiohttp.ClientSession() as session,
            ):
                chosen = Settings(
                    identity="me",
                    gateway=(f"{traefik}/metrics",),
                    kubeconfig=kubeconfig(self.folder, api),
                    port=int(self.door.rpartition(":")[2]),
                    look_seconds=0.1,
                    sweep_seconds=0.5,
                )
                agent = asyncio.create_task(run(chosen, stop, watching=False, rules=RULES))
                told = asyncio.create_task(story(session))
                await asyncio.wait([agent, told], return_when=asyncio.FIRST_COMPLETED)
                assert not agent.done(), agent
                await told
                async with session.get(f"{self.door}/metrics") as answer:
                    page = await answer.text()
                stop.set()
                await agent
            return page

        return asyncio.run(run_both())

    def judged(self, place: Place = PLACE) -> bool:
        return self.server.status_of(place).get("verdict") == "insufficient"

    async def demand(self, session: aiohttp.ClientSession, token: str, service: str = "chat") -> int:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"service": service, "reason": "it sings flat"}
        async with session.post(f"{self.door}/v1/rollback", json=body, headers=headers) as answer:
            return answer.status


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_it_leads_sees_and_cuts_without_a_watch_and_ends_when_asked(cluster: Cluster) -> None:
    server = cluster.server
    server.put(PLACE.terms_path, secret(token=PROOF))

    async def story(session: aiohttp.ClientSession) -> None:
        await until(cluster.judged)
        async with session.get(f"{cluster.door}/readyz") as answer:
            assert answer.status == 200
        assert await cluster.demand(session, PROOF) == 202
        # Whoever kills the agent after its answer takes nothing away.
        assert (server.annotations[WEIGHT], "hold" in server.status) == ("0", True)

    page = cluster.play(story)
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    of_chat = 'serinus_namespace="llm",serinus_service="chat"'
    for line in (
        "serinus_agent_leads 1.0",
        f"serinus_demands_total{{{of_chat}}} 1.0",
        f"serinus_canary_held{{{of_chat}}} 1.0",
        f'serinus_service_state{{{of_chat},state="well"}} 1.0',
    ):
        assert line in page, line


def test_it_serves_each_service_that_has_bound_it_and_no_other(cluster: Cluster) -> None:
    """Two services of one name, one that has bound nobody, one that can't be read: each by itself."""
    server, other, alone, broken = (
        cluster.server,
        Place("shop", "chat"),
        Place("shop", "alone"),
        Place("shop", "broken"),
    )
    server.put(PLACE.terms_path, secret(token=PROOF))
    server.add(other, token=ANOTHER)
    server.add(alone)
    server.add(broken, token=TOO_SHORT, blindHoldSeconds="soon")
    server.objects[broken.release_path]["spec"] = "nonsense"
    cluster.gateways.append(CountingGateway(other))

    def forbidden(method: str, path: str) -> web.Response | None:
        return said(403, "no Role here") if path == alone.terms_path else None

    server.before = forbidden

    async def story(session: aiohttp.ClientSession) -> None:
        await until(lambda: cluster.judged() and cluster.judged(other))
        assert await cluster.demand(session, TOO_SHORT) == 401
        assert await cluster.demand(session, PROOF, "alone") == 404
        assert await cluster.demand(session, PROOF) == 202
        await until(lambda: "hold" in server.status)

    page = cluster.play(story)
    assert (server.annotations[WEIGHT], server.annotations_of(other)[WEIGHT]) == ("0", "20")
    assert "hold" not in server.status_of(other)
    assert {path for _, path in server.asked if "alone" in path} == {alone.terms_path}
    for service, state in (("alone", "unbound"), ("broken", "unreadable")):
        assert f'serinus_service="{service}",state="{state}"}} 1.0' in page, page


def test_new_terms_count_without_a_restart_and_who_is_gone_is_forgotten(cluster: Cluster) -> None:
    server = cluster.server
    server.put(PLACE.terms_path, secret(token=PROOF))

    async def story(session: aiohttp.ClientSession) -> None:
        await until(cluster.judged)
        server.put(PLACE.terms_path, secret(token=ANOTHER))
        while await cluster.demand(session, PROOF, "nobody") != 401:
            await asyncio.sleep(0.05)
        assert await cluster.demand(session, ANOTHER, "nobody") == 404
        server.remove(PLACE)
        while 'serinus_service="chat"' in await page_of(session, cluster.door):
            await asyncio.sleep(0.05)
        server.add(PLACE, token=PROOF)
        await until(cluster.judged)
        assert await cluster.demand(session, PROOF) == 202
        await until(lambda: server.annotations[WEIGHT] == "0")

    cluster.play(lambda session: asyncio.wait_for(story(session), 60))


def test_while_the_api_server_is_away_nobody_is_refused_for_good_and_no_service_is_let_go(cluster: Cluster) -> None:
    server = cluster.server
    server.put(PLACE.terms_path, secret(token=PROOF))
    server.silent = True

    async def story(session: aiohttp.ClientSession) -> None:
        while await tried(cluster.demand(session, "whatever it may be")) != 503:
            await asyncio.sleep(0.05)
        server.silent = False
        await until(cluster.judged)
        asked = len(server.asked)
        server.silent = True
        await until(lambda: any(path.endswith("/v1alpha1/canaryreleases") for _, path in server.asked[asked:]))
        # It is not forgotten. But an agent that ends now has written it nowhere, so it must be sent again.
        assert await cluster.demand(session, PROOF) == 503
        server.silent = False
        await until(lambda: "hold" in server.status)
        assert await cluster.demand(session, PROOF) == 202

    cluster.play(lambda session: asyncio.wait_for(story(session), 60))
    assert server.annotations[WEIGHT] == "0"


async def page_of(session: aiohttp.ClientSession, door: str) -> str:
    async with session.get(f"{door}/metrics") as answer:
        return await answer.text()


async def tried(asking: Awaitable[int]) -> int:
    """The answer's status, 0 where the door is not open yet."""
    try:
        return await asking
    except aiohttp.ClientConnectionError:
        return 0
