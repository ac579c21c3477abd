"""The least HTTP that a gateway's auth request needs, in one process and one thread.

Every request is answered with 200: to the gateway anything else would mean that the user may not pass. Where there is
no label the answer says nothing, and then the gateway drops what the client said of itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import cast

from serinus.bucketer.decide import Decider, Decision
from serinus.rollout.share import BUCKET_HEADER, KEEP_HEADER

log = logging.getLogger(__name__)

_LONGEST_HEAD = 64 * 1024
_END = b"\r\n\r\n"
# A head that does not end is somebody's mistake; it must not hold a connection for ever.
_HEAD_SECONDS = 10.0


class Connection(asyncio.Protocol):
    """One connection of the gateway: requests in turn, each answered as soon as its head is there."""

    def __init__(self, decider: Decider, clock: Callable[[], float]) -> None:
        self._decider = decider
        self._clock = clock
        self._buffer = bytearray()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_the_clock()

    def pause_writing(self) -> None:
        # Who does not read answers may not ask on: else they would pile up here.
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._stop_the_clock()
        while (end := self._buffer.find(_END)) >= 0:
            head = bytes(self._buffer[:end])
            del self._buffer[: end + len(_END)]
            if not self._answer(head):
                self._transport.close()
                return
        if len(self._buffer) > _LONGEST_HEAD:
            self._transport.write(_answer(Decision()))
            self._transport.close()
        elif self._buffer:
            self._deadline = asyncio.get_running_loop().call_later(_HEAD_SECONDS, self._transport.abort)

    def _answer(self, head: bytes) -> bool:
        """Answer one request; tell whether the connection can go on."""
        first, *lines = head.split(b"\r\n")
        wanted = self._decider.wanted
        headers: dict[bytes, list[bytes]] = {}
        goes_on = first.endswith(b" HTTP/1.1")
        for line in lines:
            name, separator, value = line.partition(b":")
            name = name.lower()
            if name in wanted and separator:
                headers.setdefault(name, []).append(value)
            elif name in (b"transfer-encoding", b"connection") or (name == b"content-length" and value.strip() != b"0"):
                # A body is never read. So what follows it can't be found, either.
                goes_on = goes_on and name == b"connection" and value.strip().lower() == b"keep-alive"
        self._transport.write(_answer(self._decided(headers)))
        return goes_on

    def _decided(self, headers: dict[bytes, list[bytes]]) -> Decision:
        try:
            return self._decider.decide(headers, self._clock())
        except Exception as error:
            # A bug of ours must cost no user an answer. No traceback: what was asked, and so an id, may be in it.
            log.error("undecided: %s", type(error).__name__)  # noqa: TRY400
            return Decision()

    def _stop_the_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _answer(decision: Decision) -> bytes:
    said = f"{BUCKET_HEADER}: {decision.label}\r\n" if decision.label else ""
    said += f"{KEEP_HEADER}: {decision.notes}\r\n" if decision.notes else ""
    return f"HTTP/1.1 200 OK\r\n{said}Content-Length: 0\r\n\r\n".encode()


async def serve(decider: Decider, host: str, port: int, clock: Callable[[], float] = time.time) -> asyncio.Server:
    """Listen; port 0 takes any that is free. `clock` tells the seconds since 1970."""
    return await asyncio.get_running_loop().create_server(lambda: Connection(decider, clock), host, port, backlog=1024)
