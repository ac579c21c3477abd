"""Writes down what was done: in the ledger, as an Event, and with a snapshot of the evidence.

All of it comes after the deed and none of it may hold the deed up. So `note` only queues, and the queue is worked off
in the background, for as long as it takes: an API server that is away loses no entry.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from serinus.agent import evidence
from serinus.agent.api import Api, ApiError
from serinus.agent.place import Place
from serinus.rollout.book import book_name, evidence_name, old_book_name, read_book, with_evidence, write
from serinus.rollout.canary_release import API_VERSION, KIND
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hold import Hold
from serinus.rollout.ledger import Line
from serinus.rollout.lost import lost_move
from serinus.rollout.status import Status, read_status
from serinus.rollout.world import read_route

MOST_WAITING = 1000
_TRIES = 3
_LONGEST_WAIT_SECONDS = 15.0
_LONGEST_MESSAGE = 1000
# These end or prevent something, and somebody will ask why.
_GRAVE = (Kind.CUT, Kind.HELD, Kind.BLIND)

_log = logging.getLogger(__name__)


class Books:
    """The books of one service. `note` is to be called in the loop that runs `run`.

    `wait_seconds` is how long a first failure is waited out; each further one twice as long, up to 15 s. What stands
    in the status and in no ledger `lost_seconds` after the start an agent died over: it is entered then.
    """

    def __init__(
        self, api: Api, namespace: str, service: str, wait_seconds: float = 0.2, lost_seconds: float = 30.0
    ) -> None:
        self._wait_seconds = wait_seconds
        self._lost_seconds = lost_seconds
        self._api = api
        self._namespace = namespace
        self._service = service
        self._place = Place(namespace, service)
        self._maps = f"/api/v1/namespaces/{namespace}/configmaps"
        self._waiting: asyncio.Queue[Deed] = asyncio.Queue(MOST_WAITING)

    def note(self, deed: Deed) -> None:
        """Have a deed written down. It returns at once and never fails.

        The same deed noted twice, by kind, time, person and reason, stands in the ledger once. So whoever does not know
        whether it was noted, such as after a crash, notes it again.
        """
        try:
            self._waiting.put_nowait(deed)
        except asyncio.QueueFull:
            _log.error(
                "a deed is lost to the ledger: too many wait", extra={"service": deed.service, "what": deed.kind}
            )

    async def run(self) -> None:
        """Write down what is noted, in its order, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._find_what_was_lost())
            group.create_task(self._work_off())

    async def _work_off(self) -> None:
        while True:
            deed = await self._waiting.get()
            try:
                await self._write_down(deed)
            except Exception:
                # A deed that can't be written must not stop those after it.
                _log.exception("a deed could not be written down", extra={"what": deed.kind})
            finally:
                self._waiting.task_done()

    async def written(self) -> None:
        """Wait until everything noted so far is written down."""
        await self._waiting.join()

    async def _find_what_was_lost(self) -> None:
        """Enter what stands in the status and not in the ledger: its writer died between the two."""
        await asyncio.sleep(self._lost_seconds)
        try:
            release = await self._api.get(self._place.release_path)
            book = await self._read(book_name(self._service))
        except ApiError:
            return  # nothing is known that could be entered
        lines = [entry.deed for entry in read_book(book.get("data")).entries]
        status, moved = read_status(release.get("status")), None
        if isinstance(status, Status):
            stable = str((release.get("spec") or {}).get("stable", ""))
            moved = lost_move(lines, status, stable, await self._writer())
        for lost in filter(None, (moved, self._lost_hold(release, lines))):
            _log.warning("a deed was in no ledger", extra={"what": lost.kind, "by": lost.by})
            self.note(lost)

    def _lost_hold(self, release: Mapping[str, Any], lines: Sequence[Line]) -> Deed | None:
        try:
            hold = Hold.model_validate((release.get("status") or {}).get("hold"))
        except ValidationError:
            return None  # no hold, or none that can be read: nothing to enter
        if any((line.who, line.reason) == (hold.by, hold.reason) and line.at >= hold.since for line in lines):
            return None
        spec, served = release.get("spec") or {}, release["status"].get("weight")
        kind = Kind.HELD if served else Kind.CUT
        old, new = (spec.get("weight", 0), 0) if kind is Kind.CUT else (served, served)
        return Deed(kind, self._service, hold.by, hold.reason, hold.since, str(spec.get("canary", "")), old, new)

    async def _writer(self) -> str:
        """Who wrote the weight, empty where nobody can tell."""
        try:
            return read_route(await self._api.get(self._place.ingress_path)).writer
        except ApiError:
            return ""

    async def _write_down(self, deed: Deed) -> None:
        if deed.kind in _GRAVE and deed.release:
            found = await evidence.pods(self._api, self._namespace, self._service, deed.release)
            deed = replace(deed, evidence={**deed.evidence, **({"pods": found} if found else {})})
        deed = replace(deed, evidence=_plain(deed.evidence))
        number = await self._until_written(deed)
        if number is None:
            return
        await self._try("the Event", lambda: self._post_event(deed))
        if deed.evidence:
            await self._try("the evidence", lambda: self._keep_evidence(deed, number))

    async def _until_written(self, deed: Deed) -> int | None:
        """Write the ledger's entry; return its number, None where it stood there already."""
        wait = self._wait_seconds
        while True:
            try:
                return await self._write_entry(Line.of(deed))
            except ApiError as error:
                _log.warning("the ledger can't be written, trying again", extra={"error": str(error), "seconds": wait})
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    async def _write_entry(self, line: Line) -> int | None:
        book = await self._read(book_name(self._service))
        if any(_same(line, entry.deed) for entry in read_book(book.get("data")).entries):
            return None
        done = write(book.get("data"), line)
        if done.old is not None:
            old = await self._read(old_book_name(self._service))
            await self._replace({**old, "data": done.old})
        await self._replace({**book, "data": done.book})
        return done.entry.number

    async def _keep_evidence(self, deed: Deed, number: int) -> None:
        kept = await self._read(evidence_name(self._service))
        await self._replace({**kept, "data": with_evidence(kept.get("data"), number, deed.evidence)})

    async def _read(self, name: str) -> dict[str, Any]:
        try:
            return await self._api.get(f"{self._maps}/{name}")
        except ApiError as error:
            if not error.missing:
                raise
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self._namespace}}

    async def _replace(self, document: Mapping[str, Any]) -> None:
        """Write what was read and changed; the version that was read makes it fail where somebody was faster."""
        if "resourceVersion" in document["metadata"]:
            await self._api.put(f"{self._maps}/{document['metadata']['name']}", document)
        else:
            await self._api.post(self._maps, document)

    async def _post_event(self, deed: Deed) -> None:
        about = await self._api.get(self._place.release_path)
        at = deed.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{self._service}-{deed.kind}-", "namespace": self._namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": self._service,
                "namespace": self._namespace,
                "uid": about["metadata"]["uid"],
            },
            "reason": deed.kind.capitalize(),
            "message": f"{deed.reason} ({deed.by}; {deed.old} % to {deed.new} %)"[:_LONGEST_MESSAGE],
            "type": "Warning" if deed.kind in _GRAVE else "Normal",
            "source": {"component": "serinus-agent"},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        await self._api.post(f"/api/v1/namespaces/{self._namespace}/events", event)

    async def _try(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Try a few times; what does not succeed is told and left."""
        for wait in range(_TRIES):
            try:
                await work()
            except ApiError as error:
                _log.warning("%s can't be written", what, extra={"error": str(error), "try": wait + 1})
                await asyncio.sleep(self._wait_seconds * (wait + 1))
            else:
                return


def _same(one: Line, other: Line) -> bool:
    """Tell whether two lines are about one deed."""
    return (one.what, one.at, one.who, one.service) == (other.what, other.at, other.who, other.service)


def _plain(found: Mapping[str, object]) -> dict[str, object]:
    """Return evidence as JSON says it: moments and the like as texts. What JSON can't say is left out."""
    try:
        plain: dict[str, object] = json.loads(json.dumps(found, default=_text, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return {}
    return plain


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
