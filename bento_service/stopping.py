"""Stop texts in a stream: nothing of a stop text may be sent, also when it comes in parts."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Lets text through up to the first stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """What of the text so far may be sent now; the end of it may be the start of a stop text and waits."""
        if self.stopped:
            return ""
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            ready, self._held = self._held[: min(found)], ""
            return ready
        wait = max((self._overlap(stop) for stop in self._stops), default=0)
        cut = len(self._held) - wait
        ready, self._held = self._held[:cut], self._held[cut:]
        return ready

    def rest(self) -> str:
        """What waited, once no more text can come."""
        rest, self._held = self._held, ""
        return rest

    def _overlap(self, stop: str) -> int:
        # The longest end of the held text that is a beginning of the stop text.
        longest = min(len(stop) - 1, len(self._held))
        return next((size for size in range(longest, 0, -1) if self._held.endswith(stop[:size])), 0)
