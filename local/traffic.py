"""Sends bounded, recorded load to a gateway: what the demo and the tests see of a release is what users would see."""

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import urllib3

from local.alongside import alongside

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What one user got: HTTP status (0: no answer at all), the release that says it answered, and how long it took.

    `at` is when it came, in Unix seconds.
    """

    user: str
    status: int
    release: str
    seconds: float
    text: str
    at: float = field(default_factory=time.time, compare=False)

    @property
    def failed(self) -> bool:
        """Anything but a complete answer that names its release."""
        return self.status != 200 or not self.release


class Client:
    """Users of one service behind a gateway. Safe to use from many threads; never retries, so nothing is hidden."""

    def __init__(self, url: str, host: str, connections: int = 16, max_tokens: int | None = None) -> None:
        """`max_tokens`: ask for answers of at most so many tokens; None leaves it to the release."""
        self._url = f"{url}/chat"
        self._host = host
        self._wish = {} if max_tokens is None else {"max_tokens": max_tokens}
        self._pool = urllib3.PoolManager(maxsize=connections, block=True, retries=False, timeout=TIMEOUT_SECONDS)

    def ask(self, user: str, prompt: str) -> Answer:
        """Send one prompt as `user`. Never raises: a failure is an answer too."""
        started = time.monotonic()
        headers = {"Host": self._host, "X-User-Id": user, "Content-Type": "application/json"}
        try:
            body = json.dumps({"prompt": prompt, **self._wish})
            reply = self._pool.request("POST", self._url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            return Answer(user, 0, "", time.monotonic() - started, f"{type(error).__name__}: {error}")
        text = reply.data.decode(errors="replace")
        if reply.status == 200:
            try:
                text = str(json.loads(text)["response"])
            except (ValueError, KeyError, TypeError):
                return Answer(user, 0, "", time.monotonic() - started, f"not an answer: {text[:200]}")
        release = reply.headers.get("X-Serinus-Release", "")
        return Answer(user, reply.status, release, time.monotonic() - started, text)

    def ask_all(self, users: Sequence[str], prompts: Sequence[str], concurrency: int) -> list[Answer]:
        """One prompt of each user in turn, `concurrency` at a time; the answers in the order of the users."""
        with ThreadPoolExecutor(max_workers=concurrency) as pool:
            return list(pool.map(self.ask, users, itertools.cycle(prompts)))


@dataclass
class Background:
    """Load that goes on while something else is done. `answers` is complete once the load has ended."""

    answers: list[Answer] = field(default_factory=list)


@contextmanager
def background(
    client: Client, prompts: Sequence[str], per_second: float, limit_seconds: float = 900.0
) -> Iterator[Background]:
    """Send `per_second` requests, each at its own time whether or not the last was answered, until the block ends.

    Ends by itself after `limit_seconds`.
    """
    load = Background()
    lock = threading.Lock()

    def one(number: int) -> None:
        answer = client.ask(f"background-{number % 1000:03d}", prompts[number % len(prompts)])
        with lock:
            load.answers.append(answer)

    def drive(ended: threading.Event) -> None:
        started = time.monotonic()
        with ThreadPoolExecutor(max_workers=32) as pool:
            for number in itertools.count():
                due = started + number / per_second
                if ended.wait(max(0.0, due - time.monotonic())) or due - started > limit_seconds:
                    return
                pool.submit(one, number)

    with alongside(drive):
        yield load


@contextmanager
def crowd(client: Client, prompts: Sequence[str], size: int, per_second: float) -> Iterator[Background]:
    """Let `size` users ask, each when the last answer has come, until the block ends; `per_second` in all at most.

    Unlike `background` it asks less where the answers take longer: a slow service is never asked to death.
    """
    load = Background()
    ended = threading.Event()

    def one(number: int) -> None:
        for turn in itertools.count(number):
            started = time.monotonic()
            load.answers.append(client.ask(f"crowd-{number:03d}", prompts[turn % len(prompts)]))
            if ended.wait(max(0.0, started + size / per_second - time.monotonic())):
                return

    users = [threading.Thread(target=one, args=(number,)) for number in range(size)]
    for user in users:
        user.start()
    try:
        yield load
    finally:
        ended.set()
        for user in users:
            user.join()
