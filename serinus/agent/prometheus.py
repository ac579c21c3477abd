"""Asks Prometheus every few seconds which guards fire: a second witness beside the gateway's counters and the webhook.

It only adds. Without it the judge judges and a cut cuts; the client's calls block, so they have a thread of their own.
One question is for all services that name the same Prometheus, and one Prometheus speaks only for those that name it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_client import Gauge
from urllib3.util.retry import Retry

from serinus.agent.place import Place
from serinus.rollout.demand import Action, Demand

EVERY_SECONDS = 5.0
QUERY = 'ALERTS{alertstate="firing",serinus_service!="",serinus_action=~"rollback|hold"}'
"""The alerts of all services that ask for something."""
_TIMEOUT_SECONDS = 4
NO_ANSWER = (requests.RequestException, PrometheusApiClientException, ValueError, KeyError, TypeError)
"""What a question raises where nothing can be had, or nothing that can be understood."""
_MOST_TEXT = 200

_log = logging.getLogger(__name__)


def client(url: str) -> PrometheusConnect:
    """Return a client whose calls block for some seconds at most."""
    # Its own retries would take longer than until the next question.
    return PrometheusConnect(url=url, timeout=_TIMEOUT_SECONDS, retry=Retry(0))


def firing(rows: object, now: datetime, place: Place) -> dict[str, Demand]:
    """Read an answer's rows about one service, by fingerprint. A row that is not understood asks for nothing.

    An alert without a namespace is about every service of its name: whoever wrote it by hand had one cluster in mind.
    """
    found: dict[str, Demand] = {}
    for row in rows if isinstance(rows, list) else []:
        labels = row.get("metric") if isinstance(row, Mapping) else None
        if not isinstance(labels, Mapping) or labels.get("serinus_service") != place.service:
            continue
        if labels.get("namespace", place.namespace) != place.namespace:
            continue
        action, name = labels.get("serinus_action"), labels.get("alertname")
        if action not in (Action.ROLLBACK, Action.HOLD) or not isinstance(name, str) or not name:
            continue
        fingerprint = "prometheus/" + ",".join(sorted(f"{key}={value}" for key, value in labels.items()))
        shown = "".join(letter if letter.isprintable() else " " for letter in name[:_MOST_TEXT])
        found[fingerprint] = Demand(
            place.service, Action(action), f"the alert {shown} fires", f"alert {shown}", fingerprint, now
        )
    return found


@dataclass(slots=True)
class _Listener:
    """A service that wants to hear of its alerts, each once, when it begins to fire."""

    take: Callable[[Demand], bool]
    up: Gauge
    known: Collection[str] = frozenset()


class Witness:
    """Asks one Prometheus, for all that listen."""

    def __init__(self, url: str) -> None:
        self._client = client(url)
        self._thread = ThreadPoolExecutor(1, "prometheus")
        self.listeners: dict[Place, _Listener] = {}

    def listen(self, place: Place, take: Callable[[Demand], bool], up: Gauge) -> None:
        """Have a service hear of its alerts."""
        self.listeners[place] = _Listener(take, up)

    async def run(self) -> None:
        """Ask for ever."""
        try:
            while True:
                await self.ask()
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def ask(self) -> None:
        """Ask once. What can't be had or understood is no news."""
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._thread, lambda: self._client.custom_query(QUERY))
        except NO_ANSWER as error:
            for one in self.listeners.values():
                one.up.set(0)
            _log.debug("Prometheus gave no answer", extra={"why": type(error).__name__})
            return
        now = datetime.now(UTC)
        for place, one in list(self.listeners.items()):
            one.up.set(1)
            found = firing(rows, now, place)
            one.known = {mark for mark, demand in found.items() if mark in one.known or one.take(demand)}


class Witnesses:
    """Every Prometheus that a service names; one is asked as long as somebody listens."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[Witness, asyncio.Task[None]]] = {}
        self._of: dict[Place, str] = {}

    def listen(self, place: Place, url: str, take: Callable[[Demand], bool], up: Gauge) -> None:
        """Have a service hear of its alerts by this URL from now on; empty: by none."""
        if self._of.get(place, "") == url:
            return
        self.leave(place)
        if not url:
            return
        if url not in self._asked:
            witness = Witness(url)
            self._asked[url] = (witness, asyncio.create_task(witness.run()))
        self._asked[url][0].listen(place, take, up)
        self._of[place] = url

    def leave(self, place: Place) -> None:
        """Have a service hear nothing any more."""
        url = self._of.pop(place, "")
        if url:
            witness, task = self._asked[url]
            del witness.listeners[place]
            if not witness.listeners:
                task.cancel()
                del self._asked[url]
