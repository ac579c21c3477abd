"""Who is answered now, who waits, who is told to come back: a bounded queue before the engine.

Without it every request of a burst is taken and all of them run out of time together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from time import monotonic
from typing import Protocol


class Overloaded(Exception):
    """The queue is full; `retry_after` is a guess in whole seconds of when a place is free."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class Level(Protocol):
    """A gauge."""

    def set(self, value: float) -> None:
        """Show the current value."""


class Admission:
    """At most `concurrency` requests run and `queue` wait, first come first served."""

    def __init__(self, concurrency: int, queue: int, running: Level, waiting: Level) -> None:
        self._free = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._queue = queue
        self._taken = 0
        self._waiting = 0
        self._mean_seconds = 1.0
        self._show_running = running
        self._show_waiting = waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place while answering. Raises `Overloaded`."""
        await self._enter()
        started = monotonic()
        self._taken += 1
        self._show_running.set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            self._show_running.set(self._taken)
            self._free.release()
            self._mean_seconds += 0.1 * (monotonic() - started - self._mean_seconds)

    async def _enter(self) -> None:
        if not self._free.locked():
            await self._free.acquire()  # there is a free place, so this does not wait
            return
        if self._waiting >= self._queue:
            raise Overloaded(self._retry_after())
        self._waiting += 1
        self._show_waiting.set(self._waiting)
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            self._show_waiting.set(self._waiting)

    def _retry_after(self) -> int:
        return max(1, ceil(self._mean_seconds * (self._waiting + 1) / self._concurrency))
