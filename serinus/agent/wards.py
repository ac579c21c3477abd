"""Every service of the cluster that has bound the agent: found, served on its terms, let go.

A CanaryRelease says that there is a service; that its Secret can be read says that its stack wants the agent. Both are
looked for every few seconds. The watch only makes that quicker. Whoever has not bound the agent is asked no more.
"""

import asyncio
import hmac
import logging
from collections.abc import Mapping
from typing import Any

from serinus.agent.api import Api, ApiError
from serinus.agent.gateway import Sample
from serinus.agent.meter import Customer
from serinus.agent.place import Place
from serinus.agent.telemetry import Seen, State, Telemetry
from serinus.agent.terms import Terms, read_terms, texts
from serinus.agent.ward import Shared, Ward
from serinus.rollout.canary_release import API_VERSION, PLURAL

MOST = 1000
"""So many services are served. More than that is somebody's mistake, or worse."""
_LEAST_SECONDS = 0.5
_AT_ONCE = 8
_EVERYWHERE = f"/apis/{API_VERSION}/{PLURAL}"
# What the API server says to whom nothing is granted, and where there is nothing.
_UNBOUND = (403, 404)

_log = logging.getLogger(__name__)


class Wards:
    """The services, each with a task of its own."""

    def __init__(self, shared: Shared, prometheus: str, sweep_seconds: float) -> None:
        self._shared = shared
        self._api: Api = shared.api
        self._telemetry: Telemetry = shared.telemetry
        self._prometheus = prometheus
        self._sweep_seconds = sweep_seconds
        self._served: dict[Place, tuple[Ward, asyncio.Task[None]]] = {}
        self._unbound: dict[Place, Seen] = {}
        self._unknown: set[Place] = set()
        self._swept = False
        self._wake = asyncio.Event()
        self._said = ""

    @property
    def known(self) -> bool:
        """Tell whether the terms of every service that there is were read, or can't be had."""
        return self._swept and not self._unknown

    @property
    def swept(self) -> bool:
        """Tell whether the services were looked for at all."""
        return self._swept

    def changed(self, place: Place) -> None:
        """Look now: somebody has changed, made or deleted a CanaryRelease."""
        if place in self._served:
            self._served[place][0].rollout.nudge()
        else:
            self._wake.set()

    def customers(self) -> list[Customer]:
        """Return all services, for whoever counts what they cost."""
        return [Customer(ward.rollout, ward.terms.prometheus) for ward, _ in self._served.values()]

    def heard(self, sample: Sample) -> None:
        """Have every service take in a look at the gateway."""
        for ward, _ in self._served.values():
            ward.rollout.heard(sample)

    def callers(self, token: bytes) -> tuple[Ward, ...] | None:
        """Return the services that whoever knows this token speaks for; None while that can't be said.

        How long it takes says nothing of the tokens that there are.
        """
        wards = [ward for ward, _ in self._served.values() if ward.terms.token]
        found = tuple(ward for ward in wards if hmac.compare_digest(ward.terms.token, token))
        return found or (() if self.known else None)

    async def run(self) -> None:
        """Look after all services until cancelled, then let them go."""
        try:
            while True:
                self._wake.clear()
                await self.sweep()
                await asyncio.sleep(_LEAST_SECONDS)
                try:
                    async with asyncio.timeout(max(self._sweep_seconds - _LEAST_SECONDS, 0.0)):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            await asyncio.gather(*(self._end(place) for place in list(self._served)))

    async def sweep(self) -> None:
        """Look once for what there is. Where the API server says nothing all stays as it is."""
        try:
            listed = await self._api.get(_EVERYWHERE)
            there = dict(_placed(one) for one in listed.get("items") or [])
        except (ApiError, KeyError, TypeError, AttributeError) as error:
            self._telemetry.api_failures.inc()
            self._say(f"the CanaryReleases can't be listed: {error}")
            return
        self._say(f"{len(there)} CanaryReleases are too many: {MOST} are served" if len(there) > MOST else "")
        there = dict(sorted(there.items())[:MOST])
        for place in self._served.keys() - there.keys():
            await self._end(place)
        for place in self._unbound.keys() - there.keys():
            self._unbound.pop(place).forget()
        self._unknown &= there.keys()
        few = asyncio.Semaphore(_AT_ONCE)

        async def attend(place: Place, uid: str) -> None:
            async with few:
                await self._attend(place, uid)

        await asyncio.gather(*(attend(place, uid) for place, uid in there.items()))
        self._swept = True

    async def _attend(self, place: Place, uid: str) -> None:
        """Serve one service on the terms of now, or let it go."""
        try:
            await self._serve(place, uid)
            self._unknown.discard(place)
        except ApiError as error:
            if error.code in _UNBOUND:
                self._unknown.discard(place)
                await self._refused(place, error)
            elif place not in self._served:
                self._unknown.add(place)
        except Exception:
            _log.exception("a service can't be served", extra={"service": str(place)})

    async def _serve(self, place: Place, uid: str) -> None:
        read = read_terms(texts(await self._api.get(place.terms_path)), self._prometheus, self._shared.rules)
        if place in self._served and self._served[place][0].uid != uid:
            await self._end(place)
        before = self._served[place][0].whom if place in self._served else {}
        whom, trouble = await self._whom(place, read.terms, before)
        if place not in self._served:
            if place in self._unbound:
                self._unbound.pop(place).forget()
            ward = Ward(place, uid, self._shared)
            self._served[place] = (ward, asyncio.create_task(ward.run(), name=str(place)))
            _log.info("a service is served", extra={"service": str(place)})
        self._served[place][0].agree(read, whom, trouble)

    async def _whom(self, place: Place, terms: Terms, before: Mapping[str, str]) -> tuple[Mapping[str, str], str]:
        """Return whom a service's notices go to, or whom they went to before and why that can't be read now."""
        if not terms.notices:
            return {}, ""
        try:
            return texts(await self._api.get(place.secret_path(terms.notices))), ""
        except ApiError as error:
            return before, str(error)

    async def _refused(self, place: Place, error: ApiError) -> None:
        if place in self._served:
            _log.warning("a service is let go", extra={"service": str(place), "why": str(error)})
            await self._end(place)
        if place not in self._unbound:
            self._unbound[place] = self._telemetry.of(place)
            self._unbound[place].state(State.UNBOUND)

    async def _end(self, place: Place) -> None:
        ward, task = self._served.pop(place)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        ward.close()

    def _say(self, trouble: str) -> None:
        if trouble != self._said:
            _log.warning(trouble or "all well again")
        self._said = trouble


def _placed(release: Mapping[str, Any]) -> tuple[Place, str]:
    metadata = release["metadata"]
    return Place(str(metadata["namespace"]), str(metadata["name"])), str(metadata.get("uid", ""))
