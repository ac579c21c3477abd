"""One service in the agent's care: its rollout, its books, its notices. What breaks here breaks here alone."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from serinus.agent.api import Api
from serinus.agent.books import Books
from serinus.agent.notices import Notices
from serinus.agent.place import Place
from serinus.agent.prometheus import Witnesses
from serinus.agent.rollout import Rollout
from serinus.agent.telemetry import State, Telemetry
from serinus.agent.terms import Read, Terms
from serinus.rollout.alertmanager import MOST_ALERTS, Memory
from serinus.rollout.deed import Deed
from serinus.rollout.demand import Demand
from serinus.rollout.memory import Rules

_AGAIN_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all services share: the ways to the API server, who leads, and what the agent shows of itself.

    `rules` are those of a service whose terms say nothing else.
    """

    api: Api
    hand: Api
    leads: Callable[[], bool]
    telemetry: Telemetry
    witnesses: Witnesses
    blind_after: timedelta
    rules: Rules


class Ward:
    """One service. The caller has `agree` told on which terms, runs `run` in a task of its own, and cancels it."""

    def __init__(self, place: Place, uid: str, shared: Shared) -> None:
        self.place = place
        self.uid = uid
        self.terms = Terms()
        self._shared = shared
        self._seen = shared.telemetry.of(place)
        self.whom: Mapping[str, str] = {}
        self._said = ""
        self._memory = Memory(MOST_ALERTS)
        self._notices = Notices(lambda: self.whom)
        self._books = Books(shared.api, place.namespace, place.service)
        self.rollout = Rollout(
            place, shared.rules, shared.blind_after, shared.api, shared.hand, self._seen, shared.leads, self._note
        )

    @property
    def service(self) -> str:
        """The service's name, without its namespace."""
        return self.place.service

    def agree(self, read: Read, whom: Mapping[str, str], trouble: str) -> None:
        """Serve on these terms from now on.

        `whom` is what the Secret says that names the receivers of notices; `trouble` what kept it from being read.
        """
        self.terms, self.whom = read.terms, whom
        told = "; ".join([*read.mistakes, *([trouble] if trouble else [])])
        self.rollout.rules = read.terms.rules
        self.rollout.terms_mistaken = bool(told)
        self._shared.witnesses.listen(self.place, read.terms.prometheus, self.rollout.take, self._seen.prometheus_up)
        if told != self._said:
            _log.warning("the terms of a service", extra={"service": str(self.place), "why": told or "all well again"})
        self._said = told

    async def run(self) -> None:
        """Serve it until cancelled. A part that breaks is begun anew a little later, with all others of the service."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    for part in (self.rollout, self._books, self._notices):
                        group.create_task(part.run())
            except Exception:
                self._seen.state(State.FAILED)
                _log.exception("a service's part failed", extra={"service": str(self.place)})
            await asyncio.sleep(_AGAIN_SECONDS)

    def close(self) -> None:
        """Let go of what is shared, once `run` has ended."""
        self._shared.witnesses.leave(self.place)
        self._seen.forget()

    def once(self, demand: Demand) -> bool | None:
        """Take a demand: True where it is taken, False where it was before, None where it can't be taken now."""
        now = datetime.now(UTC)
        if self._memory.knows(demand.fingerprint, now):
            return False
        if not self.rollout.take(demand):
            return None
        self._memory.keep([demand.fingerprint], now)
        return True

    async def stood(self) -> None:
        """Wait until all that was taken by now stands in the cluster."""
        await self.rollout.stood()

    def _note(self, deed: Deed) -> None:
        self._books.note(deed)
        self._notices.send(deed)
