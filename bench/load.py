"""Users at a steady pace, each answer with its moments, and how long a broken canary kept failing them."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from local.alongside import alongside
from local.traffic import Answer, Client

PER_SECOND = 10.0


@dataclass
class Load:
    """Answers with the moments at which they were asked for and came. `canary` is how the canary's release begins."""

    canary: str
    answers: list[tuple[float, float, Answer]] = field(default_factory=list)

    @property
    def on_the_canary(self) -> list[tuple[float, float, Answer]]:
        """What reached the canary: its answers, and whatever failed."""
        return [one for one in self.answers if one[2].failed or one[2].release.startswith(self.canary)]

    @property
    def failures(self) -> list[float]:
        """The moments at which failed answers came, the first first."""
        return sorted(came for _, came, answer in self.answers if answer.failed)

    @property
    def fault_to_zero(self) -> float:
        """Seconds from the first failed answer to the last request that reached the canary."""
        last = max(asked for asked, _, _ in self.on_the_canary)
        return max(last - self.failures[0], 0.0)


@contextmanager
def sending(client: Client, canary: str) -> Iterator[Load]:
    """Send requests at a steady pace, each at its own time whatever became of the last."""
    load = Load(canary)

    def one(number: int) -> None:
        asked = time.monotonic()
        answer = client.ask(f"user-{number % 1000:03d}", "hello")
        load.answers.append((asked, time.monotonic(), answer))

    def drive(ended: threading.Event) -> None:
        began, number = time.monotonic(), 0
        with ThreadPoolExecutor(max_workers=32) as pool:
            while not ended.wait(max(0.0, began + number / PER_SECOND - time.monotonic())):
                pool.submit(one, number)
                number += 1

    with alongside(drive):
        yield load
