"""Asks Prometheus every few seconds which guards fire: a second witness beside the gateway's counters and the webhook.

It only adds. Without it the judge judges and a cut cuts; the client's calls block, so they have a thread of their own.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from serinus.agent.telemetry import Telemetry
from serinus.rollout.demand import Action, Demand

EVERY_SECONDS = 5.0
_TIMEOUT_SECONDS = 4
_MOST_TEXT = 200

_log = logging.getLogger(__name__)


def firing_query(service: str) -> str:
    """Return the query for the alerts of a service that ask for something. A service's name has no quotes."""
    return f'ALERTS{{alertstate="firing",serinus_service="{service}",serinus_action=~"rollback|hold"}}'


def firing(rows: object, service: str, now: datetime) -> dict[str, Demand]:
    """Read an answer's rows, by fingerprint. A row that is not understood asks for nothing."""
    found: dict[str, Demand] = {}
    for row in rows if isinstance(rows, list) else []:
        labels = row.get("metric") if isinstance(row, Mapping) else None
        if not isinstance(labels, Mapping) or labels.get("serinus_service") != service:
            continue
        action, name = labels.get("serinus_action"), labels.get("alertname")
        if action not in (Action.ROLLBACK, Action.HOLD) or not isinstance(name, str) or not name:
            continue
        fingerprint = "prometheus/" + ",".join(sorted(f"{key}={value}" for key, value in labels.items()))
        shown = "".join(letter if letter.isprintable() else " " for letter in name[:_MOST_TEXT])
        found[fingerprint] = Demand(
            service, Action(action), f"the alert {shown} fires", f"alert {shown}", fingerprint, now
        )
    return found


class Witness:
    """Hands each alert on once, when it begins to fire."""

    def __init__(self, url: str, service: str, telemetry: Telemetry, take: Callable[[Demand], bool]) -> None:
        # Its own retries would take longer than until the next question.
        self._client = PrometheusConnect(url=url, timeout=_TIMEOUT_SECONDS, retry=Retry(0))
        self._service = service
        self._telemetry = telemetry
        self._take = take
        self._known: Collection[str] = frozenset()
        self._thread = ThreadPoolExecutor(1, "prometheus")

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(EVERY_SECONDS)

    async def ask(self) -> None:
        """Ask once. What can't be had or understood is no news."""
        loop = asyncio.get_running_loop()
        query = firing_query(self._service)
        try:
            rows = await loop.run_in_executor(self._thread, lambda: self._client.custom_query(query))
        except (requests.RequestException, PrometheusApiClientException, ValueError, KeyError, TypeError) as error:
            self._telemetry.prometheus_up.set(0)
            _log.debug("Prometheus gave no answer", extra={"why": type(error).__name__})
            return
        self._telemetry.prometheus_up.set(1)
        found = firing(rows, self._service, datetime.now(UTC))
        taken = {mark for mark, demand in found.items() if mark in self._known or self._take(demand)}
        self._known = taken

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)
