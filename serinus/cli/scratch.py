"""A folder of its own for what one engine's processes leave behind.

At each start the Kubernetes provider writes a copy of the kubeconfig it was given, credentials and all, among the
temporary files, and never removes it.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "serinus-engine-"
# A folder is made a moment before it is locked.
_YOUNG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """What an engine is started with: variables for its environment, and a file to pass on open.

    The folder is in use as long as somebody has that file open: an engine may outlive whoever started it.
    """

    environment: dict[str, str]
    pass_fds: tuple[int, ...]


@contextmanager
def scratch() -> Iterator[Scratch]:
    """Make the folder, for this user's eyes only; it is gone when the block ends.

    One whose owner was killed goes with the next call, once its engine has ended too.
    """
    _sweep(Path(tempfile.gettempdir()))
    # What a killed engine leaves running may still write there.
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield Scratch({"TMPDIR": folder}, (handle,))
        finally:
            os.close(handle)


def _sweep(place: Path) -> None:
    """Remove the folders that nobody uses any more."""
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < _YOUNG_SECONDS:
                continue
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # somebody else has just removed it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(handle)
