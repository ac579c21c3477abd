"""Watches the CanaryReleases of the cluster by kopf, in a thread of its own: a changed spec is seen at once.

What the agent itself writes comes back as an event too, and is no news. Only events are taken. Everything else of
kopf's would write: finalizers, annotations, Events; and a deletion would then wait for an agent that may not be there.
If watching fails, the agent's own looks see the change seconds later.
"""

import asyncio
import contextlib
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import kopf

from serinus.agent.api import Access
from serinus.agent.place import Place
from serinus.rollout import agency
from serinus.rollout.canary_release import GROUP, PLURAL, VERSION

_AGAIN_SECONDS = 5.0
_END_SECONDS = 3.0

_log = logging.getLogger(__name__)


class Watch:
    """Calls `changed` in the loop that started it, whenever somebody has changed, made or deleted a CanaryRelease."""

    def __init__(self, access: Access, changed: Callable[[Place], None]) -> None:
        self._access = access
        self._changed = changed
        self._seen: dict[Place, object] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch. To be called in the loop where `changed` is to run."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="watch", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End it, and wait a little for the thread; it keeps no process alive."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _END_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stop.is_set():
            try:
                with tempfile.TemporaryDirectory() as folder:
                    asyncio.run(self._watch(loop, Path(folder)))
            except Exception as error:
                _log.warning("watching failed", extra={"why": f"{type(error).__name__}: {error}"})
            self._stop.wait(_AGAIN_SECONDS)

    async def _watch(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        registry = kopf.OperatorRegistry()
        authority = folder / "ca.crt"
        authority.write_text(self._access.authority, encoding="utf-8")

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 (kopf hands over whatever it has)
            return kopf.ConnectionInfo(
                server=self._access.url,
                ca_path=str(authority) if self._access.authority else None,
                scheme="Bearer",
                token=self._access.bearer(),
            )

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
        def event(name: str | None, namespace: str | None, **more: Any) -> None:  # noqa: ANN401 (the same)
            place = Place(namespace or "", name or "")
            gone, now = more.get("type") == "DELETED", by_others(more.get("body") or {})
            if gone or self._seen.get(place) != now:
                self._seen.pop(place, None)
                if not gone:
                    self._seen[place] = now
                with contextlib.suppress(RuntimeError):  # the loop has ended: so does this thread
                    loop.call_soon_threadsafe(self._changed, place)

        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        # The definition is there or will be asked for again; scanning for it needs rights that the agent has not.
        settings.scanning.disabled = True
        await kopf.operator(
            registry=registry,
            settings=settings,
            # Or it would ask for the name of the pod's user, who has none.
            identity=cast(Any, agency.NAME),
            clusterwide=True,
            standalone=True,
            stop_flag=self._stop,
        )


def by_others(release: Mapping[str, Any]) -> object:
    """Return what of a CanaryRelease others than the agent write: the spec's generation, holds and approvals."""
    metadata, status = release.get("metadata") or {}, release.get("status") or {}
    return metadata.get("uid"), metadata.get("generation"), repr(status.get("hold")), repr(status.get("approvals"))
