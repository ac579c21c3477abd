"""Turns of one service's rollout: hear the gateway, cut where that must be, read the API server, decide, write.

The gateway is heard at each look. The API server is asked as often while there is something at stake, such as a canary
with traffic; a service at rest asks it every two seconds, so that many of them cost little.

The decisions are `serinus.rollout.reconcile`'s. Here is only their order: a cut before everything else, the hold after
the cut, the books after the hold; and what is written is written on what was read, or not at all.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from serinus.agent.api import Api, ApiError
from serinus.agent.ears import Ears, ticking
from serinus.agent.gateway import Sample
from serinus.agent.inbox import Inbox
from serinus.agent.place import Place
from serinus.agent.telemetry import Seen, State
from serinus.rollout.bill import Owed, Paid
from serinus.rollout.causes import demanded, faded, judged, overspent
from serinus.rollout.cut import MANAGER, ingress_cut, ingress_of
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.demand import Action, Demand
from serinus.rollout.hearing import hear
from serinus.rollout.memory import Decision, Memory, Rules
from serinus.rollout.reconcile import decide, still_served
from serinus.rollout.share import share
from serinus.rollout.status import Status
from serinus.rollout.world import Route, UnreadableError, World, read_route, read_world

_ATTEMPTS = 3
_REST_SECONDS = 2.0
_DEMANDED = (Kind.CUT, Kind.HELD)

_log = logging.getLogger(__name__)


class Rollout:
    """One service. `hand` is the way to the API server that only cuts use, so that nothing stands before them."""

    def __init__(
        self,
        place: Place,
        rules: Rules,
        blind_after: timedelta,
        api: Api,
        hand: Api,
        seen: Seen,
        leads: Callable[[], bool],
        note: Callable[[Deed], None],
    ) -> None:
        self.rules = rules
        self.terms_mistaken = False
        self._place = place
        self._named = {"service": str(place)}
        self._blind_after = blind_after
        self._api = api
        self._hand = hand
        self._seen = seen
        self._leads = leads
        self._note = note
        self._memory = Memory()
        self._paid: Paid | None = None
        self._world: World | None = None
        self._ears = Ears(place, seen)
        self._inbox = Inbox()
        self._wake = asyncio.Event()
        self._asked_at: float | None = None
        self._news = True
        self._said = ""
        self._hurry: asyncio.Task[None] | None = None

    def take(self, demand: Demand) -> bool:
        """Take a demand without waiting; False where so many wait that one more would be forgotten.

        Any replica does what is demanded of it: to cut twice is to cut. So no demand is lost on one that does not lead.
        """
        if demand.service != self._place.service:
            return True  # not ours, and asking again would not change that
        if demand.action is Action.NOTIFY:
            self._seen.demands.inc()
            _log.warning("an alert fires", extra={**self._named, "by": demand.by, "reason": demand.reason})
            return True
        if not self._inbox.put(demand):
            return False
        self._seen.demands.inc()
        if demand.action is Action.ROLLBACK and (self._hurry is None or self._hurry.done()):
            # Not even for the turn that is under way now. The next one finds the cut, and says why.
            self._hurry = asyncio.create_task(self._cut_at_once())
        self.nudge()
        return True

    async def stood(self) -> None:
        """Wait until all that was taken by now is done, and written where this process' end can't take it away."""
        await self._inbox.stood()

    def owed(self) -> Owed | None:
        """Say whose tokens to count: the canary's, where it has a budget."""
        world, step = self._world, self._memory.step
        if world is None or world.spec.budget is None or not world.spec.canary or step is None:
            return None
        return Owed(self._place.namespace, world.spec.canary, world.spec.budget.price, step.since)

    def paid(self, paid: Paid) -> None:
        """Take in what the canary's tokens have cost."""
        self._paid = paid

    def nudge(self) -> None:
        """Begin the next turn now, and ask the API server in it: there is news."""
        self._news = True
        self._wake.set()

    def heard(self, sample: Sample) -> None:
        """Take in what the gateway showed, and begin the next turn."""
        hearing, world = self._memory.hearing, self._world
        slow_seconds = world.spec.objectives.slow_seconds if world else None
        self._ears.hear(sample, hearing.stable if hearing and world else None, slow_seconds)
        self._wake.set()

    async def run(self) -> None:
        """Turn whenever there is something new, and at least as often as a service at rest must."""
        while True:
            try:
                async with asyncio.timeout(_REST_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                self._listen()
                if self._at_stake():
                    await self._ask()
            except Exception as error:
                # A mistake of ours, or an object that nobody thought of: the next turn may still cut.
                self._say(f"a turn failed: {error!r}", State.FAILED, error)

    async def turn(self) -> None:
        """Do one whole turn. What fails is said, and tried again in the next one."""
        self._listen()
        await self._ask()

    def _listen(self) -> None:
        """Hear what the gateway counted, and take in what was demanded."""
        now, tick = datetime.now(UTC), ticking()
        memory = self._memory
        if memory.hearing is not None:
            memory = replace(memory, hearing=hear(memory.hearing, self._ears.readings, self._ears.expected, tick))
        memory = demanded(memory, self._inbox.draw(), now)
        memory = replace(memory, paid=self._paid)
        if self._leads():
            memory = judged(memory, now, tick)
            if self._world is not None:
                memory = overspent(memory, self._world, now)
                memory = faded(memory, self._world, self.rules, now, tick)
        self._memory = memory

    def _at_stake(self) -> bool:
        """Tell whether to ask the API server now."""
        if self._news or self._asked_at is None or time.monotonic() - self._asked_at >= _REST_SECONDS:
            return True
        if self._memory.cause is not None:
            return True
        if not self._leads():
            return False
        world, hearing = self._world, self._memory.hearing
        if world is not None and world.route is not None and share(world.route.annotations) > 0:
            return True
        # A canary without a share that has requests: somebody has raised it just now.
        busy = hearing.busy_at if hearing else None
        return busy is not None and busy.timestamp() > self._asked_at

    async def _ask(self) -> None:
        if self._hurry is not None:
            await self._hurry
        self._news = False
        self._asked_at = time.monotonic()
        memory = self._memory
        try:
            known = self._world.route if self._world else None
            if known is not None and memory.cause and memory.cause.cuts and share(known.annotations) > 0:
                await self._cut_unread(known)
            await self._settle()
            self._say("", State.TERMS if self.terms_mistaken else State.WELL)
        except ApiError as error:
            self._seen.api_failures.inc()
            self._say(str(error), State.API)
        except UnreadableError as error:
            self._say(f"the CanaryRelease can't be read: {error}", State.UNREADABLE)

    async def _cut_at_once(self) -> None:
        world = self._world
        try:
            if world is not None and world.route is not None and share(world.route.annotations) > 0:
                self._world = replace(world, route=await self._cut(world.route))
        except ApiError as error:
            self._say(str(error), State.API)  # the demand waits in its queue: the turns try again

    async def _cut_unread(self, known: Route) -> None:
        """Cut by what was known a moment ago. If it is refused, what is read now says what to do instead."""
        try:
            await self._cut(known)
        except ApiError as error:
            if not error.code:
                raise
            _log.error("the cut was refused", extra={**self._named, "why": str(error)})

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
            elif decision.lower is not None:
                world = self._world = replace(world, route=await self._lower(decision.lower))
                decision = self._decide(world, now, tick)
            try:
                if decision.due:
                    await self._write(decision.status, world.version)
            except ApiError as error:
                if not error.conflict:
                    raise
                continue  # somebody else wrote: what was decided may be wrong by now
            self._adopt(decision, world)
            return

    def _decide(self, world: World, now: datetime, tick: datetime) -> Decision:
        charter = world.spec.objectives.charter(self._blind_after)
        return decide(self._memory, world, charter, self.rules, now, tick, self._leads())

    def _adopt(self, decision: Decision, world: World) -> None:
        before, self._memory = self._memory, decision.memory
        if decision.memory.cause is None or world.route is None:
            # The cut and the hold are written. Without an Ingress the hold is all that there is to be.
            self._inbox.stand()
        if (
            before.hearing is None
            or decision.memory.hearing is None
            or before.hearing.stable != decision.memory.hearing.stable
        ):
            # What was read by the old names are other counters.
            self._ears.forget()
        # All replicas see a step, and one enters it. What was demanded of a replica it alone has done.
        deeds = [deed for deed in decision.deeds if self._leads() or deed.kind in _DEMANDED]
        for deed in deeds:
            told = {"kind": str(deed.kind), "by": deed.by, "reason": deed.reason, "new": deed.new}
            _log.warning("deed", extra={**self._named, **told})
            self._note(deed)

    async def _read(self, now: datetime) -> World | None:
        """Read the Ingress first: whoever resumes clears the status first, so a stale hold is never acted upon."""
        try:
            ingress = await self._api.get(self._place.ingress_path)
        except ApiError as error:
            if not error.missing:
                raise
            ingress = None
        try:
            release = await self._api.get(self._place.release_path)
        except ApiError as error:
            if not error.missing:
                raise
            return None  # it has gone; whoever watches them will say so
        return read_world(release, ingress, now)

    async def _cut(self, route: Route) -> Route:
        started = time.monotonic()
        document = ingress_cut(self._place.ingress, route.annotations)
        after = read_route(await self._hand.apply(self._place.ingress_path, document, MANAGER))
        if not route.cut_holds:
            self._memory = replace(self._memory, cut_at=ticking())
            self._seen.cuts.inc()
            self._seen.cut_seconds.observe(time.monotonic() - started)
            _log.warning("cut", extra={**self._named, "seconds": round(time.monotonic() - started, 3)})
        elif still_served(self._memory, self.rules, ticking()):
            _log.error("the gateway still sends requests to a canary that was cut", extra=self._named)
        return after

    async def _lower(self, annotations: Mapping[str, str]) -> Route:
        _log.warning("a step back", extra={**self._named, "annotations": dict(annotations)})
        document = ingress_of(self._place.ingress, annotations)
        return read_route(await self._hand.apply(self._place.ingress_path, document, MANAGER))

    async def _write(self, status: Status, version: str) -> None:
        # None where the status has nothing to say: a merge leaves alone what it does not name.
        whole: dict[str, Any] = {**dict.fromkeys(_status_keys()), **status.document()}
        if status.budget is not None:
            whole["budget"] = status.budget.model_dump(mode="json", by_alias=True)  # it is merged into what was there
        change = {"metadata": {"resourceVersion": version}, "status": whole}
        await self._api.patch(f"{self._place.release_path}/status?fieldManager={MANAGER}", change)
        self._seen.observed(status, status.observed_at)

    def _say(self, trouble: str, state: State, error: Exception | None = None) -> None:
        """Log what is wrong when it begins and when it ends, not each second."""
        self._seen.state(state)
        if trouble != self._said:
            _log.warning(trouble or "all well again", extra=self._named, exc_info=error)
        self._said = trouble


def _status_keys() -> list[str]:
    return [field.alias or name for name, field in Status.model_fields.items()]
