"""One of the replicas leads: it judges and writes. The others listen, so that the next one already knows.

A Lease says who. Nobody compares clocks: a lease has run out when it was not renewed for its time while one watched.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serinus.agent.api import Api, ApiError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """A lease as it was seen to be: who holds it, the mark of the last renewal, and since when that is unchanged."""

    holder: str = ""
    mark: str = ""
    since: float = 0.0


def watch(before: Watched, lease: dict[str, Any], now: float) -> Watched:
    """Look at a lease again; `now` is in seconds of a clock that never jumps."""
    spec = lease.get("spec") or {}
    holder, mark = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
    return before if (holder, mark) == (before.holder, before.mark) else Watched(holder, mark, now)


def is_free(seen: Watched, me: str, seconds: float, now: float) -> bool:
    """Tell whether `me` may write itself into a lease that lasts so many seconds."""
    return seen.holder in ("", me) or now - seen.since > seconds


class Leader:
    """This replica's part in the election."""

    def __init__(
        self, api: Api, path: str, me: str, seconds: float = 6.0, changed: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._api = api
        self._path = path
        self._me = me
        self._seconds = seconds
        self._changed = changed
        self._seen = Watched(since=time.monotonic())
        self._until = 0.0
        self._led = False

    def leads(self) -> bool:
        """Tell whether this replica leads now. It stops before another may begin."""
        return time.monotonic() < self._until

    async def run(self) -> None:
        """Take part for ever."""
        while True:
            await self._try()
            await asyncio.sleep(self._seconds / 5.0)

    async def resign(self) -> None:
        """Leave the lease to the others at once."""
        if self.leads():
            self._until = 0.0
            try:
                await self._write(await self._api.get(self._path), "")
            except ApiError as error:
                _log.warning("the lease was not given up, it runs out", extra={"why": str(error)})

    async def _try(self) -> None:
        asked = time.monotonic()
        try:
            lease = await self._api.get(self._path)
            self._seen = watch(self._seen, lease, asked)
            if is_free(self._seen, self._me, self._seconds, asked):
                await self._write(lease, self._me)
                self._until = asked + self._seconds * 2.0 / 3.0
            else:
                self._until = 0.0
        except ApiError as error:
            if not error.conflict:
                _log.warning("the lease can't be had", extra={"why": str(error)})
        if self.leads() != self._led:
            self._led = self.leads()
            _log.info("leads" if self._led else "follows")
            self._changed(self._led)

    async def _write(self, lease: dict[str, Any], holder: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = dict(lease.get("spec") or {})
        if holder and spec.get("holderIdentity") != holder:
            spec |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        spec |= {"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": max(round(self._seconds), 1)}
        await self._api.put(self._path, {**lease, "spec": spec})
