import asyncio
import time
from collections.abc import Callable

import pytest

from serinus.agent.leader import Leader, Watched, is_free, watch
from tests.agent.rollout_server import reached
from tests.agent.small_api_server import SmallApiServer, said

LEASE = "/apis/coordination.k8s.io/v1/namespaces/llm/leases/chat-agent"


@pytest.mark.parametrize(
    ("holder", "since", "now", "expected"),
    [
        pytest.param("", 0.0, 1.0, True, id="nobody's"),
        pytest.param("me", 0.0, 1.0, True, id="mine already"),
        pytest.param("you", 0.0, 5.9, False, id="another's"),
        pytest.param("you", 0.0, 6.1, True, id="another's, not renewed while I watched"),
    ],
)
def test_a_lease_is_taken_when_it_is_free(holder: str, since: float, now: float, expected: bool) -> None:
    assert is_free(Watched(holder, "12:00", since), "me", 6.0, now) is expected


def test_whoever_renews_is_watched_anew_whatever_its_clock_says() -> None:
    def lease(mark: str) -> dict[str, object]:
        return {"spec": {"holderIdentity": "you", "renewTime": mark}}

    seen = watch(Watched(), lease("2031-01-01T00:00:00Z"), 10.0)
    assert watch(seen, lease("2031-01-01T00:00:00Z"), 15.0).since == 10.0
    assert watch(seen, lease("1999-01-01T00:00:00Z"), 15.0).since == 15.0


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_one_leads_and_the_other_follows_when_it_goes_or_dies() -> None:
    async def run() -> None:
        server = SmallApiServer()
        server.put(LEASE, {"kind": "Lease", "metadata": {"name": "chat-agent"}})
        async with reached(server) as api:
            first, second = (Leader(api, LEASE, me, seconds=0.5) for me in ("first", "second"))
            tasks = {one: asyncio.create_task(one.run()) for one in (first, second)}
            await until(lambda: first.leads() or second.leads())
            led, other = (first, second) if first.leads() else (second, first)
            assert not other.leads()
            tasks[led].cancel()
            await led.resign()
            assert not led.leads()
            await until(other.leads)
            tasks[other].cancel()
            third = Leader(api, LEASE, "third", seconds=0.5)
            tasks[third] = asyncio.create_task(third.run())
            await until(third.leads)
            assert not other.leads()
            assert server.objects[LEASE]["spec"]["leaseTransitions"] == 3
            server.before = lambda method, path: said(503, "away")
            await until(lambda: not third.leads())
            tasks[third].cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    asyncio.run(run())
