"""Runs something beside a block of code, and ends it with the block."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def alongside(run: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `run` in a thread of its own; when the block ends the event is set, and the thread is waited for."""
    ended = threading.Event()
    thread = threading.Thread(target=run, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
