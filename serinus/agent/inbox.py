"""What was demanded of one service, from when it is taken until it stands in the cluster.

Whoever demands is told "yes" only then. An agent may die in the millisecond after its answer, and nobody sends again
what was answered well.
"""

import asyncio
from collections import deque

from serinus.rollout.demand import Demand

MOST = 1000
"""So many demands wait at most. All of them come to one cut and one hold."""


class Inbox:
    """The demands of one service. To be used in one loop."""

    def __init__(self) -> None:
        self._new: deque[Demand] = deque()
        # How many there were so far: put in, taken out, and written down in the cluster.
        self._put = self._drawn = self._standing = 0
        self._moved = asyncio.Event()

    def put(self, demand: Demand) -> bool:
        """Put one in without waiting; False where so many wait that one more would be forgotten."""
        if len(self._new) >= MOST:
            return False
        self._new.append(demand)
        self._put += 1
        return True

    def draw(self) -> list[Demand]:
        """Take out all that are new, to do what they demand."""
        found = list(self._new)
        self._new.clear()
        self._drawn = self._put
        return found

    def stand(self) -> None:
        """Note that what was drawn so far is done and written down."""
        if self._standing < self._drawn:
            self._standing = self._drawn
            self._moved.set()
            self._moved = asyncio.Event()

    async def stood(self) -> None:
        """Wait until everything that was put in by now stands."""
        wanted = self._put
        while self._standing < wanted:
            await self._moved.wait()
