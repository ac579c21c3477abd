"""Turns of one service's rollout: hear the gateway, cut where that must be, read the API server, decide, write.

The decisions are `serinus.rollout.reconcile`'s. Here is only their order: a cut before everything else, the hold after
the cut, the books after the hold; and what is written is written on what was read, or not at all.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from serinus.agent.api import Api, ApiError
from serinus.agent.gateway import Pages
from serinus.agent.settings import Settings
from serinus.agent.telemetry import Telemetry
from serinus.rollout.cut import MANAGER, ingress_cut
from serinus.rollout.deed import Deed
from serinus.rollout.demand import Action, Demand
from serinus.rollout.evidence import Counts, Reading
from serinus.rollout.gateway_series import GarbageError, names, read
from serinus.rollout.hearing import Hearing, hear
from serinus.rollout.reconcile import Decision, Memory, decide, demanded, judged, still_served
from serinus.rollout.share import share
from serinus.rollout.status import Status
from serinus.rollout.world import Route, UnreadableError, World, read_route, read_world

_MOST_DEMANDS = 1000
_ATTEMPTS = 3

_log = logging.getLogger(__name__)


def ticking() -> datetime:
    """Return a moment of the clock that never jumps; only differences mean anything."""
    return datetime.fromtimestamp(time.monotonic(), UTC)


class Rollout:
    """One service. `hand` is the way to the API server that only cuts use, so that nothing stands before them."""

    def __init__(
        self,
        settings: Settings,
        api: Api,
        hand: Api,
        telemetry: Telemetry,
        leads: Callable[[], bool],
        note: Callable[[Deed], None],
    ) -> None:
        self._settings = settings
        self._api = api
        self._hand = hand
        self._telemetry = telemetry
        self._leads = leads
        self._note = note
        self._memory = Memory()
        self._world: World | None = None
        self._readings: dict[str, Reading] = {}
        self._expected: tuple[str, ...] = ()
        self._demands: deque[Demand] = deque()
        self._wake = asyncio.Event()
        self._said = ""
        self._hurry: asyncio.Task[None] | None = None
        self.turned_at: float | None = None

    def take(self, demand: Demand) -> bool:
        """Take a demand without waiting; False where so many wait that one more would be forgotten.

        Any replica does what is demanded of it: to cut twice is to cut. So no demand is lost on one that does not lead.
        """
        if demand.service != self._settings.service:
            return True  # not ours, and asking again would not change that
        if len(self._demands) >= _MOST_DEMANDS:
            return False
        self._telemetry.demands.inc()
        if demand.action is Action.NOTIFY:
            _log.warning("an alert fires", extra={"by": demand.by, "reason": demand.reason})
            return True
        self._demands.append(demand)
        if demand.action is Action.ROLLBACK and (self._hurry is None or self._hurry.done()):
            # Not even for the turn that is under way now. The next one finds the cut, and says why.
            self._hurry = asyncio.create_task(self._cut_at_once())
        self.nudge()
        return True

    def nudge(self) -> None:
        """Begin the next turn now."""
        self._wake.set()

    def heard(self, pages: Pages) -> None:
        """Take in what the gateway showed, and begin the next turn."""
        self._expected = pages.expected
        silent = len(pages.expected) - len(pages.pages)
        self._telemetry.readings["silent"].inc(silent)
        self._readings = {name: one for name, one in self._readings.items() if name in pages.expected}
        hearing = self._memory.hearing
        if hearing is not None:
            at = ticking()
            for name, page in pages.pages.items():
                counts = self._counted(name, page, hearing)
                if counts is not None:
                    self._readings[name] = Reading(at, counts)
        self.nudge()

    async def run(self) -> None:
        """Turn whenever there is something new, and at least as often as the gateway is read."""
        while True:
            try:
                async with asyncio.timeout(self._settings.look_seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.turn()
            except Exception:
                # A mistake of ours, or an object that nobody thought of: the next turn may still cut.
                _log.exception("a turn failed")

    async def turn(self) -> None:
        """Do one turn. What fails is said, and tried again in the next one."""
        if self._hurry is not None:
            await self._hurry
        now, tick = datetime.now(UTC), ticking()
        memory = self._memory
        if memory.hearing is not None:
            memory = replace(memory, hearing=hear(memory.hearing, self._readings, self._expected, tick))
        memory = demanded(memory, self._drained(), now)
        if self._leads():
            memory = judged(memory, now, tick)
        self._memory = memory
        try:
            known = self._world.route if self._world else None
            if known is not None and memory.cause and memory.cause.cuts and share(known.annotations) > 0:
                await self._cut_unread(known)
            await self._settle()
            self._say("")
        except ApiError as error:
            self._telemetry.api_failures.inc()
            self._say(str(error))
        except UnreadableError as error:
            self._say(f"the CanaryRelease can't be read: {error}")
        self.turned_at = time.monotonic()

    async def _cut_at_once(self) -> None:
        world = self._world
        try:
            if world is not None and world.route is not None and share(world.route.annotations) > 0:
                self._world = replace(world, route=await self._cut(world.route))
        except ApiError as error:
            self._say(str(error))  # the demand waits in its queue: the turns try again

    async def _cut_unread(self, known: Route) -> None:
        """Cut by what was known a moment ago. If it is refused, what is read now says what to do instead."""
        try:
            await self._cut(known)
        except ApiError as error:
            if not error.code:
                raise
            _log.error("the cut was refused", extra={"why": str(error)})

    async def _settle(self) -> None:
        for _ in range(_ATTEMPTS):
            now, tick = datetime.now(UTC), ticking()
            world = self._world = await self._read(now)
            if world is None:
                return
            decision = self._decide(world, now, tick)
            if decision.cut and world.route is not None:
                world = self._world = replace(world, route=await self._cut(world.route))
                decision = self._decide(world, now, tick)
            try:
                if decision.due:
                    await self._write(decision.status, world.version)
            except ApiError as error:
                if not error.conflict:
                    raise
                continue  # somebody else wrote: what was decided may be wrong by now
            self._adopt(decision)
            return

    def _decide(self, world: World, now: datetime, tick: datetime) -> Decision:
        charter = world.spec.objectives.charter(self._settings.blind_after)
        return decide(self._memory, world, charter, self._settings.rules, now, tick, self._leads())

    def _adopt(self, decision: Decision) -> None:
        before, self._memory = self._memory, decision.memory
        if (
            before.hearing is None
            or decision.memory.hearing is None
            or before.hearing.stable != decision.memory.hearing.stable
        ):
            # What was read by the old names are other counters.
            self._readings.clear()
        for deed in decision.deeds:
            _log.warning("deed", extra={"kind": str(deed.kind), "by": deed.by, "reason": deed.reason, "new": deed.new})
            self._note(deed)

    async def _read(self, now: datetime) -> World | None:
        """Read the Ingress first: whoever resumes clears the status first, so a stale hold is never acted upon."""
        try:
            ingress = await self._api.get(self._settings.ingress_path)
        except ApiError as error:
            if not error.missing:
                raise
            ingress = None
        try:
            release = await self._api.get(self._settings.release_path)
        except ApiError as error:
            if not error.missing:
                raise
            self._say(f"there is no CanaryRelease {self._settings.service}")
            return None
        return read_world(release, ingress, now)

    async def _cut(self, route: Route) -> Route:
        started = time.monotonic()
        document = ingress_cut(self._settings.ingress, route.annotations)
        after = read_route(await self._hand.apply(self._settings.ingress_path, document, MANAGER))
        if not route.cut_holds:
            self._memory = replace(self._memory, cut_at=ticking())
            self._telemetry.cuts.inc()
            self._telemetry.cut_seconds.observe(time.monotonic() - started)
            _log.warning("cut", extra={"seconds": round(time.monotonic() - started, 3)})
        elif still_served(self._memory, self._settings.rules, ticking()):
            _log.error("the gateway still sends requests to a canary that was cut")
        return after

    async def _write(self, status: Status, version: str) -> None:
        # None where the status has nothing to say: a merge leaves alone what it does not name.
        whole = {**dict.fromkeys(_status_keys()), **status.document()}
        change = {"metadata": {"resourceVersion": version}, "status": whole}
        await self._api.patch(f"{self._settings.release_path}/status?fieldManager={MANAGER}", change)
        self._telemetry.observed(status, status.observed_at)

    def _counted(self, name: str, page: str, hearing: Hearing) -> Counts | None:
        world = self._world
        if world is None:
            return None
        arms = names(self._settings.namespace, self._settings.service, hearing.stable)
        try:
            counts = read(page, arms, world.spec.objectives.slow_seconds)
        except GarbageError as error:
            self._telemetry.readings["garbage"].inc()
            _log.warning("the gateway's page is no reading", extra={"gateway": name, "why": str(error)})
            return None
        self._telemetry.readings["ok"].inc()
        return counts

    def _drained(self) -> list[Demand]:
        found = list(self._demands)
        self._demands.clear()
        return found

    def _say(self, trouble: str) -> None:
        """Log what is wrong when it begins and when it ends, not each second."""
        if trouble != self._said:
            _log.warning(trouble or "all well again")
        self._said = trouble


def _status_keys() -> list[str]:
    return [field.alias or name for name, field in Status.model_fields.items()]
