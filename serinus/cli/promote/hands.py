"""What every act of a promoter is made of: look, commit a few lines, bring the cluster to them.

The lines come first, then the cluster. So whoever comes after a killed promoter finds either nothing done, or a
committed number that waits to be applied.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from local.errors import LocalError
from serinus.cli.promote.cluster import Cluster, Seen
from serinus.cli.promote.engine import Engine, LockedError, LockHolder, Update
from serinus.cli.promote.interrupts import Interrupts
from serinus.cli.promote.show import Show
from serinus.cli.promote.stackfile import StackFile, Value
from serinus.rollout.swap import Roles

Result = TypeVar("Result")

POLL_SECONDS = 1.0
# So long may the cluster be away before a promoter that has seen it gives up.
_AWAY_SECONDS = 120.0


class Hands:
    """One stack: its file, its cluster and its engine."""

    def __init__(
        self,
        file: StackFile,
        cluster: Cluster,
        engine: Engine,
        interrupts: Interrupts,
        show: Show,
        within: float | None = None,
        still_ours: Callable[[], None] = lambda: None,
    ) -> None:
        """`within` is in seconds, from now. `still_ours` raises where another promoter has taken over."""
        self.file = file
        self.show = show
        self._cluster = cluster
        self._engine = engine
        self._interrupts = interrupts
        self._still_ours = still_ours
        self._ends = None if within is None else time.monotonic() + within
        self._seen = 0.0
        self._left: str | None = None

    def look(self) -> Seen:
        """Look where the rollout stands; bear with a cluster that is away for a moment."""
        while True:
            self._interrupts.check()
            self._still_ours()
            try:
                seen = self._cluster.look(self.file.settings())
            except LocalError as error:
                self._interrupts.check()
                if not self._seen or time.monotonic() - self._seen > _AWAY_SECONDS:
                    raise
                self.show.waiting(str(error))
                self._interrupts.sleep(POLL_SECONDS)
            else:
                self._seen = time.monotonic()
                return seen

    def roles(self) -> Roles:
        """The releases and the weight that are committed."""
        return roles_of(self.file.settings())

    def warm_seconds(self) -> int:
        """How long the release before a swap is kept. Raises LocalError where the setting is no number."""
        text = str(self.file.settings().get("warmSeconds") or 0)
        if not text.isascii() or not text.isdigit():
            raise LocalError(f"serinus:warmSeconds is {text}, not a number of seconds", remedy="Set it to 3600.")
        return int(text)

    def disturbed(self) -> bool:
        """Tell whether somebody else has changed the file since this promoter wrote it or first read it."""
        text = self.file.text()
        if self._left is None:
            self._left = text
        return text != self._left

    def out_of_time(self, seconds: float = 0.0) -> bool:
        """Tell whether the time is over, or will be in so many seconds."""
        return self._ends is not None and time.monotonic() + seconds >= self._ends

    def sleep(self, seconds: float = POLL_SECONDS) -> None:
        """Wait between two looks."""
        self._interrupts.sleep(seconds)

    def tidy(self) -> None:
        """Clear away what a killed update has left."""
        if self._engine.has_pending_operations():
            self.show.note("clearing what a killed update has left")
            self._unlocked(self._engine.clear)

    def change(self, changes: Mapping[str, Value], message: str, *, keep: bool) -> Update:
        """Commit these settings, then update the stack.

        Where the update fails and nothing of it has arrived, the old lines come back, unless `keep` says that they
        shall stay: a decrease is wanted whatever happens.
        """
        before = self.file.text()
        after = self.file.changed(changes, before)
        if after != before:
            self.file.write(after)
        self._left = after
        self.show.update(message)
        done: Update | None = None
        try:
            done = self._unlocked(lambda: self._engine.up(message, self.file.project))
        finally:
            # Also when a signal has ended it: the file shall not promise what nobody has done.
            if not (keep or (done and done.ok) or after == before or self._arrived(changes)):
                self.file.write(before)
                self._left = before
        self.show.updated(message, done)
        return done

    def _unlocked(self, act: Callable[[], Result]) -> Result:
        while True:
            self._interrupts.check()
            try:
                return act()
            except LockedError as error:
                if error.holder is LockHolder.ELSEWHERE:
                    raise LocalError(
                        str(error),
                        remedy="Wait until that update ends, then try again. If it is dead: pulumi cancel",
                    ) from None
                if error.holder is LockHolder.DEAD:
                    self.show.note(f"{error}, which is dead: taking the lock away")
                    self._engine.unlock()
                    self._unlocked(self._engine.clear)
                    continue
                if self.out_of_time():
                    raise LocalError(str(error), remedy="Try again when that update has ended.") from None
                self.show.waiting(str(error))
                self._interrupts.sleep(POLL_SECONDS)

    def _arrived(self, changes: Mapping[str, Value]) -> bool:
        """Tell whether the traffic has moved already. Where nobody can tell it may have."""
        settings = self.file.settings()
        try:
            seen = self._cluster.look(settings)
        except LocalError:
            return True
        if "stable" in changes:
            return seen.stable.backends == (f"{settings['service']}-{changes['stable']}",)
        return seen.situation.served == changes.get("weight")


def roles_of(settings: Mapping[str, Any]) -> Roles:
    """Read the releases and the weight of a stack's settings."""
    text = str(settings.get("weight") or 0)
    stable, canary, previous = (str(settings.get(role) or "") for role in ("stable", "canary", "previous"))
    return Roles(stable, canary, int(text) if text.isdigit() else 0, previous)
