"""The agent as a whole: its parts, started together and ended together. It serves every service that has bound it."""

import asyncio
import logging
import os
import signal
import time

from aiohttp import web

from serinus.agent.api import Access, Api, from_kubeconfig, in_cluster
from serinus.agent.gateway import Gateway, sample
from serinus.agent.leader import Leader
from serinus.agent.meter import Meter
from serinus.agent.prometheus import Witnesses
from serinus.agent.server import make_app
from serinus.agent.settings import Settings
from serinus.agent.telemetry import Telemetry
from serinus.agent.ward import Shared
from serinus.agent.wards import Wards
from serinus.agent.watch import Watch
from serinus.rollout.memory import Rules

_HAND_SECONDS = 3.0
# A loop that did not turn for so long hangs; a cluster that is away does not stop it from turning.
_MOST_STILL_SECONDS = 60.0
# Of all services together. While the API server is slow, as many wait for it as there are.
_MOST_CONNECTIONS = 64

_log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, watching: bool = True, rules: Rules | None = None) -> None:
    """Run the agent until `stop` is set. Without `watching` its own looks alone see what changes.

    `rules` are for services whose terms say nothing else.
    """
    access = _access(settings)
    telemetry = Telemetry()
    async with (
        Api(access, most=_MOST_CONNECTIONS) as api,
        Api(access, _HAND_SECONDS, _MOST_CONNECTIONS) as hand,
        Gateway(settings.gateway) as gateway,
    ):
        leader = Leader(api, settings.lease_path, settings.identity, changed=telemetry.leads)
        shared = Shared(api, hand, leader.leads, telemetry, Witnesses(), settings.blind_after, rules or Rules())
        wards = Wards(shared, settings.prometheus, settings.sweep_seconds)
        looks = _Looks(gateway, wards, telemetry, settings.look_seconds)
        meter = Meter(wards.customers)
        watch = Watch(access, wards.changed)
        runner = web.AppRunner(_door(wards, looks, telemetry), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=settings.port).start()
        if watching:
            watch.start()
        tasks = [asyncio.create_task(part) for part in (leader.run(), wards.run(), looks.run(), meter.run())]
        _log.info("the agent runs", extra={"namespace": settings.namespace})
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


class _Looks:
    """Looks at the gateway at a steady pace, once for all services."""

    def __init__(self, gateway: Gateway, wards: Wards, telemetry: Telemetry, seconds: float) -> None:
        self._gateway = gateway
        self._wards = wards
        self._readings = telemetry.readings
        self._seconds = seconds
        self.looked_at = time.monotonic()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            began = self.looked_at = time.monotonic()
            pages = await self._gateway.read()
            seen = sample(pages)
            self._readings["ok"].inc(len(seen.lines))
            self._readings["silent"].inc(len(pages.expected) - len(pages.pages))
            self._readings["garbage"].inc(len(seen.garbage))
            self._wards.heard(seen)
            await asyncio.sleep(max(self._seconds - (time.monotonic() - began), 0.05))


def _door(wards: Wards, looks: _Looks, telemetry: Telemetry) -> web.Application:
    def healthy() -> bool:
        return time.monotonic() - looks.looked_at < _MOST_STILL_SECONDS

    def ready() -> bool:
        return wards.swept and healthy()

    return make_app(wards.callers, healthy, ready, telemetry.page)


def _access(settings: Settings) -> Access:
    return from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster(os.environ)
