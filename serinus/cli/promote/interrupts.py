"""Ctrl-C for a program that holds something: the engine's lock, a seat in the cluster.

An exception out of nowhere would end the promoter between two writes. So a signal only sets a flag and passes itself on
to the engine, which ends cleanly at the first and at once at the second. Everything that waits looks at the flag.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SLICE_SECONDS = 0.1


class InterruptedByUserError(Exception):
    """Somebody wants the command to end."""


class Interrupts:
    """While it is entered, signals that end a program are counted instead. Only in the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self.on_signal: Callable[[], None] | None = None
        """Called at each signal, from the signal handler: it may send a signal on, and nothing slower."""
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interrupts":
        for one in _SIGNALS:
            self._before[one] = signal.signal(one, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)  # type: ignore[arg-type]  # what signal.signal itself has returned

    def check(self) -> None:
        """Raise InterruptedByUserError after a signal."""
        if self.count:
            raise InterruptedByUserError

    def sleep(self, seconds: float) -> None:
        """Sleep; raise InterruptedByUserError soon after a signal."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _SLICE_SECONDS))
        self.check()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.on_signal is not None:
            self.on_signal()
