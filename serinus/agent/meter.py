"""Counts in Prometheus what the canaries with a budget have cost, twice a minute.

No cut waits for it, and no judge: without a count a canary with a budget only does not rise. The client's calls block,
so they have a thread of their own.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from prometheus_api_client import PrometheusConnect

from serinus.agent.ears import ticking
from serinus.agent.prometheus import NO_ANSWER, client
from serinus.rollout.alert_queries import tokens_by_type
from serinus.rollout.bill import EVERY_SECONDS, Owed, Paid, read_tokens, windows
from serinus.rollout.budget import Spending

# It becomes a part of a query. Whoever writes a CanaryRelease may write anything there.
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,62}", re.ASCII)

_log = logging.getLogger(__name__)


class Payer(Protocol):
    """Who has a budget, perhaps."""

    def owed(self) -> Owed | None:
        """Say whose tokens to count; None where there is no budget or no canary."""

    def paid(self, paid: Paid) -> None:
        """Take in what they have cost."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A payer, and the URL of the Prometheus that counts its tokens, empty without one."""

    payer: Payer
    prometheus: str


class Meter:
    """Asks for each customer in turn. Who has none of its own Prometheus waits for nobody else's."""

    def __init__(self, customers: Callable[[], Iterable[Customer]]) -> None:
        self._customers = customers
        self._clients: dict[str, PrometheusConnect] = {}
        self._thread = ThreadPoolExecutor(1, "tokens")

    async def run(self) -> None:
        """Count until cancelled."""
        try:
            while True:
                await self.count()
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def count(self) -> None:
        """Count once for everybody. What can't be had or understood is not known, and says so by its age."""
        away: set[str] = set()
        for customer in list(self._customers()):
            owed = customer.payer.owed()
            if owed is None or not _NAME.fullmatch(owed.release) or customer.prometheus in ("", *away):
                continue
            try:
                spending = await self._spending(customer.prometheus, owed)
            except NO_ANSWER as error:
                away.add(customer.prometheus)
                _log.debug("the tokens can't be counted", extra={"why": type(error).__name__})
                continue
            if spending is not None:
                customer.payer.paid(Paid(owed.release, spending, datetime.now(UTC), ticking()))

    async def _spending(self, url: str, owed: Owed) -> Spending | None:
        today, recent = windows(datetime.now(UTC), owed.since)
        costs: list[float] = []
        for seconds in (today, recent):
            query = tokens_by_type(owed.namespace, owed.release, seconds)
            found = read_tokens(await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, url, query))
            if found is None:
                return None
            costs.append(owed.price.of(found["input"], found["output"]))
        return Spending(costs[0], costs[1], recent)

    def _ask(self, url: str, query: str) -> object:
        if url not in self._clients:
            self._clients[url] = client(url)
        rows: object = self._clients[url].custom_query(query)
        return rows
