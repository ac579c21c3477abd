"""One user of the local cluster at a time: a second one gets told who has it, instead of a wreck."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.errors import LocalError

_LOCK = Path("/run/lock/serinus-local.lock")
"""Outside the cluster's state, which `down` deletes."""


@contextmanager
def held(by: str) -> Iterator[None]:
    """Hold the cluster for this process; `by` is what a second one is told, for example "make demo".

    The kernel frees the lock when the process ends, however it ends. Raises LocalError when another process holds it.
    """
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise LocalError(
                f"the local cluster is in use by {handle.read().strip() or 'another process'}",
                remedy="wait until it ends, or end it, then try again",
            ) from None
        handle.truncate(0)
        handle.write(f"`{by}` (pid {os.getpid()}, since {time.strftime('%H:%M:%S')})\n")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
