"""The agent as a whole: its parts, started together and ended together."""

import asyncio
import logging
import os
import signal
import time

from aiohttp import web

from serinus.agent.api import Access, Api, from_kubeconfig, in_cluster
from serinus.agent.books import Books
from serinus.agent.gateway import Gateway
from serinus.agent.leader import Leader
from serinus.agent.notices import Notices
from serinus.agent.prometheus import Witness
from serinus.agent.rollout import Rollout
from serinus.agent.server import make_app
from serinus.agent.settings import Settings
from serinus.agent.telemetry import Telemetry
from serinus.agent.watch import Watch
from serinus.rollout.deed import Deed

_HAND_SECONDS = 3.0
# A loop that did not turn for so long hangs; a cluster that is away does not stop it from turning.
_MOST_STILL_SECONDS = 60.0

_log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, watching: bool = True) -> None:
    """Run the agent until `stop` is set. Without `watching` its own turns alone see what changes."""
    access = _access(settings)
    telemetry = Telemetry(settings.service)
    async with Api(access) as api, Api(access, _HAND_SECONDS) as hand, Gateway(settings.gateway) as gateway:
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{settings.namespace}/leases"
        leader = Leader(api, f"{leases}/{settings.lease}", settings.identity, changed=telemetry.leads)
        books = Books(api, settings.namespace, settings.service)
        notices = Notices(settings.notices)

        def note(deed: Deed) -> None:
            books.note(deed)
            notices.send(deed)

        rollout = Rollout(settings, api, hand, telemetry, leader.leads, note)
        watch = Watch(access, settings.namespace, settings.service, rollout.nudge)
        runner = web.AppRunner(_door(settings, rollout, telemetry), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=settings.port).start()
        if watching:
            watch.start()
        parts = [
            leader.run(),
            rollout.run(),
            books.run(),
            notices.run(),
            _listen(gateway, rollout, settings.look_seconds),
        ]
        if settings.prometheus:
            parts.append(Witness(settings.prometheus, settings.service, telemetry, rollout.take).run())
        tasks = [asyncio.create_task(part) for part in parts]
        _log.info("the agent runs", extra={"service": settings.service, "namespace": settings.namespace})
        waiting = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        await leader.resign()
        for task in (*tasks, waiting):
            task.cancel()
        await asyncio.gather(*tasks, waiting, return_exceptions=True)
        await runner.cleanup()
        await watch.stop()
        for task in ended & set(tasks):
            # A part that ends by itself is broken; the next process starts whole.
            task.result()


def main(settings: Settings) -> None:
    """Run the agent until it is told to end by a signal."""

    async def whole() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(settings, stop)
        _log.info("the agent ends")

    asyncio.run(whole())


async def _listen(gateway: Gateway, rollout: Rollout, seconds: float) -> None:
    while True:
        began = time.monotonic()
        rollout.heard(await gateway.read())
        await asyncio.sleep(max(seconds - (time.monotonic() - began), 0.05))


def _door(settings: Settings, rollout: Rollout, telemetry: Telemetry) -> web.Application:
    def healthy() -> bool:
        return rollout.turned_at is None or time.monotonic() - rollout.turned_at < _MOST_STILL_SECONDS

    def ready() -> bool:
        return rollout.turned_at is not None and healthy()

    return make_app(settings.token_file, rollout.take, healthy, ready, telemetry.page, settings.service)


def _access(settings: Settings) -> Access:
    return from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster(os.environ)
