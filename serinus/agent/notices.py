"""Tells people and pipelines what was done, through receivers that may be slow, wrong or dead.

No deed waits for any of it: `send` only queues, and each notice has a thread of its own, so that a dead receiver delays
no other. Their URLs are secrets: they come from a Secret of the service's namespace and are never shown.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp
import apprise

from serinus.rollout.deed import Deed
from serinus.rollout.hook import signed
from serinus.rollout.notice import language_of, notice

URLS = "urls"
"""The key of the Secret with one receiver per line, as apprise writes them: dingtalk://…, feishu://…, slack://…, mailto://…"""
HOOK = "hook"
"""The key with the URL that deeds are posted to, for a pipeline."""
HOOK_SECRET = "hook-secret"  # noqa: S105 (a key's name)
"""The key with the secret that signs what is posted."""

MOST_WAITING = 100
# Of one service, of which the agent has many.
MOST_RECEIVERS = 20
# A thread can't be ended from outside: so many may hang in dead receivers, then no more are started.
MOST_THREADS = 30
_TRIES = 3

_log = logging.getLogger(__name__)


class Receiver(NamedTuple):
    """Where a deed is told. `name` may be shown: scheme and line, nothing else. `url` is a secret."""

    name: str
    url: str


class Notices:
    """The receivers of one service. `send` is to be called in the loop that runs `run`.

    `whom` returns what the Secret says now; nothing tells nobody. `seconds` is how long one attempt may take;
    `wait_seconds` how long a first failure is waited out, and the second twice as long. After the third it is given up.
    """

    def __init__(self, whom: Callable[[], Mapping[str, str]], seconds: float = 20.0, wait_seconds: float = 2.0) -> None:
        self._whom = whom
        self._seconds = seconds
        self._wait_seconds = wait_seconds
        self._waiting: asyncio.Queue[Deed] = asyncio.Queue(MOST_WAITING)
        self._threads: set[threading.Thread] = set()
        # What these two say has URLs in it.
        for name in ("apprise", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def send(self, deed: Deed) -> None:
        """Have a deed told to every receiver. It returns at once and never fails."""
        try:
            self._waiting.put_nowait(deed)
        except asyncio.QueueFull:
            _log.error("a notice is lost: too many wait", extra={"service": deed.service, "what": deed.kind})

    async def run(self) -> None:
        """Tell what is sent until cancelled. Each deed goes to all receivers at once, whichever of them answer."""
        async with asyncio.TaskGroup() as group:
            while True:
                deed = await self._waiting.get()
                group.create_task(self._tell_all(deed)).add_done_callback(lambda _: self._waiting.task_done())

    async def told(self) -> None:
        """Wait until everything sent so far is told or given up."""
        await self._waiting.join()

    async def _tell_all(self, deed: Deed) -> None:
        await asyncio.gather(*(self._tell(receiver, deed) for receiver in self._receivers()))

    async def _tell(self, receiver: Receiver, deed: Deed) -> None:
        for attempt in range(_TRIES):
            if await self._attempt(receiver, deed):
                return
            if attempt < _TRIES - 1:
                await asyncio.sleep(self._wait_seconds * 2**attempt)
        _log.warning("a notice was not taken", extra={"receiver": receiver.name, "what": deed.kind, "tries": _TRIES})

    async def _attempt(self, receiver: Receiver, deed: Deed) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                if receiver.name == HOOK:
                    return await self._post(receiver.url, deed)
                return await self._in_thread(receiver, deed)
        except Exception as error:
            # Whatever it is: its words may hold the URL, its kind does not.
            _log.debug("an attempt failed", extra={"receiver": receiver.name, "error": type(error).__name__})
            return False

    async def _post(self, url: str, deed: Deed) -> bool:
        body, headers = signed(deed, self._read(HOOK_SECRET).encode(), int(time.time()))
        async with (
            aiohttp.ClientSession(trust_env=True) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status < 300

    async def _in_thread(self, receiver: Receiver, deed: Deed) -> bool:
        """Notify in a thread of its own, which nobody waits for at the end of the process."""
        self._threads = {one for one in self._threads if one.is_alive()}
        if len(self._threads) >= MOST_THREADS:
            return False
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[bool] = loop.create_future()

        def settle(value: bool) -> None:
            if not taken.done():
                taken.set_result(value)

        def work() -> None:
            value = _notify(receiver, deed)
            try:
                loop.call_soon_threadsafe(settle, value)
            except RuntimeError:
                return  # the loop has ended meanwhile, and with it the wish to know

        thread = threading.Thread(target=work, daemon=True, name=f"notice to {receiver.name}")
        self._threads.add(thread)
        thread.start()
        return await taken

    def _receivers(self) -> list[Receiver]:
        """Read who is to be told, anew each time: a rotated Secret needs no restart."""
        lines = [line.strip() for line in self._read(URLS).splitlines()]
        urls = [(place, line) for place, line in enumerate(lines, 1) if line and not line.startswith("#")]
        if len(urls) > MOST_RECEIVERS:
            _log.error("too many receivers: the rest is not told", extra={"most": MOST_RECEIVERS})
        found = [Receiver(f"{_scheme(url)} in line {place}", url) for place, url in urls[:MOST_RECEIVERS]]
        hook = self._read(HOOK)
        return [Receiver(HOOK, hook), *found] if hook else found

    def _read(self, name: str) -> str:
        return self._whom().get(name, "").strip()


def _notify(receiver: Receiver, deed: Deed) -> bool:
    title, body = notice(deed, language_of(_scheme(receiver.url)))
    try:
        target = apprise.Apprise()
        return bool(target.add(receiver.url) and target.notify(body=body, title=title, interpret_escapes=False))
    except Exception:
        # A plugin that breaks is a receiver that did not take it.
        return False


def _scheme(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    return scheme if mark and scheme.isalnum() else "unknown"
