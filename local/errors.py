"""The one error of the local platform: what went wrong, what to do about it, and which log tells more."""

from pathlib import Path


class LocalError(Exception):
    """Something that the user can act on.

    Attributes:
        remedy: what to do, one sentence; empty when the message says it all.
        log: the file whose last lines explain the failure, if there is one.
    """

    def __init__(self, message: str, *, remedy: str = "", log: Path | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.log = log

    def tail(self, lines: int = 20) -> list[str]:
        """The last `lines` lines of the log; empty when there is no log."""
        if self.log is None or not self.log.exists():
            return []
        return self.log.read_text(errors="replace").splitlines()[-lines:]
