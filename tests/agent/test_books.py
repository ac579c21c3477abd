"""What was done is written down, however the API server behaves, and writing it down holds nothing up."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from serinus.agent.books import MOST_WAITING, Books
from serinus.rollout.book import check, key_of, write
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hold import Hold
from serinus.rollout.ledger import Line
from serinus.rollout.verdict import Verdict
from tests.agent.small_api_server import SmallApiServer, said

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CUT = Deed(
    Kind.CUT, "chat", "serinus-agent", "errors", NOW, "v2-0f3a9c21", 20, 0, Verdict.FAIL, {"canary": {"errors": 7}}
)
MAPS = "/api/v1/namespaces/shop/configmaps"
EVENTS = "/api/v1/namespaces/shop/events"
RELEASE = "/apis/serinus.dev/v1alpha1/namespaces/shop/canaryreleases/chat"


def a_server() -> SmallApiServer:
    server = SmallApiServer()
    server.put(RELEASE, {"metadata": {"name": "chat"}})
    for name in ("chat-ledger", "chat-ledger-old", "chat-evidence"):
        server.put(f"{MAPS}/{name}", {"metadata": {"name": name}})
    return server


def with_books(server: SmallApiServer, work: Callable[[Books], Awaitable[None]], lost_seconds: float = 60.0) -> None:
    """Work with books that are written in the background, until all is written."""

    async def run() -> None:
        async with server.served() as api:
            books = Books(api, "shop", "chat", wait_seconds=0.01, lost_seconds=lost_seconds)
            writing = asyncio.create_task(books.run())
            await work(books)
            await asyncio.wait_for(books.written(), 20)
            writing.cancel()

    asyncio.run(run())


def noting(*deeds: Deed) -> Callable[[Books], Awaitable[None]]:
    async def work(books: Books) -> None:
        for deed in deeds:
            books.note(deed)

    return work


def data(server: SmallApiServer, name: str = "chat-ledger") -> dict[str, str]:
    found: dict[str, str] = server.objects[f"{MAPS}/{name}"].get("data", {})
    return found


def events(server: SmallApiServer) -> list[dict[str, Any]]:
    return [one for path, one in server.objects.items() if path.startswith(EVENTS)]


def test_a_cut_stands_in_the_ledger_as_an_event_and_with_its_evidence() -> None:
    server = a_server()
    with_books(server, noting(CUT))
    checked = check(data(server), data(server, "chat-ledger-old"), data(server, "chat-evidence"))
    assert checked.breaks == []
    assert checked.entries[0].deed == Line.of(CUT)
    (event,) = events(server)
    assert (event["type"], event["reason"], event["involvedObject"]["name"]) == ("Warning", "Cut", "chat")
    assert event["message"] == "errors (serinus-agent; 20 % to 0 %)"
    assert json.loads(data(server, "chat-evidence")[key_of(1)]) == {"canary": {"errors": 7}}


def test_the_evidence_of_a_cut_holds_its_pods_without_what_anybody_said() -> None:
    server = a_server()
    pods = "/api/v1/namespaces/shop/pods"
    terminated = {"restartCount": 2, "ready": False, "lastState": {"terminated": {"reason": "OOMKilled"}}}
    status = {"phase": "Running", "containerStatuses": [terminated]}
    server.put(f"{pods}/chat-v2", {"metadata": {"name": "chat-v2"}, "status": status})
    server.objects[f"{pods}/chat-v2/log"] = '{"outcome": "error", "prompt": "my secret"}\nValueError: my secret\n'
    with_books(server, noting(CUT))
    (pod,) = json.loads(data(server, "chat-evidence")[key_of(1)])["pods"]
    assert (pod["name"], pod["restarts"], pod["ended"]) == ("chat-v2", 2, ["OOMKilled"])
    assert pod["log"] == ['{"outcome": "error"}', "(ValueError, 21 characters)"]
    assert check(data(server), None, data(server, "chat-evidence")).breaks == []


def test_a_deed_that_is_noted_twice_is_written_once() -> None:
    server = a_server()
    with_books(server, noting(CUT, CUT, replace(CUT, evidence={})))
    assert list(data(server)) == [key_of(1)]
    assert len(events(server)) == 1
    with_books(server, noting(CUT, replace(CUT, at=NOW + timedelta(seconds=1))))
    assert list(data(server)) == [key_of(1), key_of(2)]


def test_what_happened_while_the_api_server_was_away_is_written_when_it_is_back() -> None:
    server = a_server()
    failures = iter(
        [*(said(503, "away") for _ in range(4)), web.Response(text="<html>", status=502), web.Response(text="garbage")]
    )
    server.before = lambda method, path: next(failures, None) if "ledger" in path else None
    with_books(server, noting(CUT, replace(CUT, kind=Kind.RESUMED)))
    checked = check(data(server), None)
    assert ([entry.deed.what for entry in checked.entries], checked.breaks) == ([Kind.CUT, Kind.RESUMED], [])


def test_an_answer_that_is_lost_after_the_write_makes_no_second_entry() -> None:
    server = a_server()
    lost = iter([True])

    def lose(method: str, path: str) -> web.Response | None:
        if method == "PUT" and path.endswith("chat-ledger") and next(lost, False):
            server.put(path, {"metadata": {"name": "chat-ledger"}, "data": write({}, Line.of(CUT)).book})
            return said(504, "time-out")
        return None

    server.before = lose
    with_books(server, noting(CUT))
    assert list(data(server)) == [key_of(1)]


def test_a_person_who_writes_in_between_loses_no_entry_and_forks_no_chain() -> None:
    server = a_server()
    theirs = iter([True])

    def write_first(method: str, path: str) -> web.Response | None:
        if method == "PUT" and path.endswith("chat-ledger") and next(theirs, False):
            line = Line.of(replace(CUT, by="ada", reason="theirs"))
            server.put(path, {"metadata": {"name": "chat-ledger"}, "data": write({}, line).book})
        return None

    server.before = write_first
    with_books(server, noting(CUT))
    checked = check(data(server), None)
    assert ([entry.deed.who for entry in checked.entries], checked.breaks) == (["ada", "serinus-agent"], [])


@pytest.mark.parametrize("refused", ["/events", "/chat-evidence", "/pods", "/canaryreleases"])
def test_the_ledger_is_written_where_all_else_is_refused(refused: str) -> None:
    server = a_server()
    server.before = lambda method, path: said(403, "no right") if refused in path else None
    with_books(server, noting(CUT, replace(CUT, kind=Kind.RESUMED)))
    assert len(check(data(server), None).entries) == 2


def test_a_ledger_that_nobody_made_is_made() -> None:
    server = SmallApiServer()
    with_books(server, noting(CUT))
    assert check(data(server), None).breaks == []


def test_evidence_that_is_no_json_loses_only_itself() -> None:
    server = a_server()
    loop: dict[str, object] = {}
    loop["self"] = loop
    with_books(server, noting(replace(CUT, evidence=loop), replace(CUT, kind=Kind.HELD, evidence={"at": NOW})))
    assert [entry.deed.evidence is None for entry in check(data(server), None).entries] == [True, False]


def held(server: SmallApiServer, **status: object) -> Hold:
    hold = Hold(reason="errors", by="serinus-agent", since=NOW)
    spec = {"canary": "v2-0f3a9c21", "weight": 20}
    server.put(RELEASE, {"metadata": {"name": "chat"}, "spec": spec, "status": {"hold": hold.document(), **status}})
    return hold


async def until_asked_for(server: SmallApiServer, path: str) -> None:
    async with asyncio.timeout(20):
        while ("GET", path) not in server.asked:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("weight", "kind", "old", "new"), [(0, Kind.CUT, 20, 0), (20, Kind.HELD, 20, 20)])
def test_a_hold_that_an_agent_died_over_is_entered_by_the_next_one(weight: int, kind: Kind, old: int, new: int) -> None:
    server = a_server()
    hold = held(server, weight=weight)

    async def work(_: Books) -> None:
        async with asyncio.timeout(20):
            while not data(server):
                await asyncio.sleep(0.01)

    with_books(server, work, lost_seconds=0.0)
    (entry,) = check(data(server), None).entries
    assert (entry.deed.what, entry.deed.who, entry.deed.at) == (kind, hold.by, hold.since)
    assert (entry.deed.reason, entry.deed.old, entry.deed.new) == ("errors", old, new)


@pytest.mark.parametrize("status", [None, {}, {"hold": {"by": 7}}, {"hold": None}])
def test_where_there_is_no_hold_nothing_is_entered(status: object) -> None:
    server = a_server()
    server.put(RELEASE, {"metadata": {"name": "chat"}, "status": status})

    async def work(_: Books) -> None:
        await until_asked_for(server, RELEASE)

    with_books(server, work, lost_seconds=0.0)
    assert data(server) == {}


def test_a_hold_that_stands_in_the_ledger_is_not_entered_again() -> None:
    server = a_server()
    held(server, weight=0)
    later = replace(CUT, at=NOW + timedelta(seconds=1))
    with_books(server, noting(later))

    async def work(_: Books) -> None:
        await until_asked_for(server, RELEASE)
        await until_asked_for(server, f"{MAPS}/chat-ledger")

    server.asked.clear()
    with_books(server, work, lost_seconds=0.0)
    assert list(data(server)) == [key_of(1)]


def moved(server: SmallApiServer, **changes: object) -> None:
    """A status that says 20 % since a moment, as the agent writes it."""
    status = {
        "service": "chat",
        "canary": "v2-0f3a9c21",
        "weight": 20,
        "verdict": "pass",
        "because": "",
        "stepStartedAt": (NOW + timedelta(seconds=9)).isoformat(),
        "bakedSeconds": 1.0,
        "allowedWeight": 20,
        "observedAt": (NOW + timedelta(seconds=19)).isoformat(),
        "observedGeneration": 3,
        **changes,
    }
    server.put(RELEASE, {"metadata": {"name": "chat"}, "spec": {"stable": "v1-5b1de7aa"}, "status": status})


def test_a_step_that_an_agent_died_over_is_entered_by_the_next_one_and_once() -> None:
    server = a_server()
    moved(server)
    with_books(server, noting(replace(CUT, kind=Kind.STEP, old=0, new=5)))

    async def until_entered(_: Books) -> None:
        async with asyncio.timeout(20):
            while len(data(server)) < 2:
                await asyncio.sleep(0.01)

    with_books(server, until_entered, lost_seconds=0.0)
    entry = check(data(server), None).entries[-1]
    assert (entry.deed.what, entry.deed.old, entry.deed.new) == (Kind.STEP, 5, 20)
    assert (entry.deed.at, entry.deed.who) == (NOW + timedelta(seconds=9), "unknown")

    async def until_looked(_: Books) -> None:
        await until_asked_for(server, RELEASE)
        await until_asked_for(server, f"{MAPS}/chat-ledger")

    server.asked.clear()
    with_books(server, until_looked, lost_seconds=0.0)
    assert list(data(server)) == [key_of(1), key_of(2)]


def test_noting_never_waits_and_never_fails(caplog: pytest.LogCaptureFixture) -> None:
    server = a_server()
    server.before = lambda method, path: said(503, "away")

    async def run() -> None:
        async with server.served() as api:
            books = Books(api, "shop", "chat")
            for second in range(MOST_WAITING + 1):
                books.note(replace(CUT, at=NOW + timedelta(seconds=second)))

    asyncio.run(run())
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR] == [
        "a deed is lost to the ledger: too many wait"
    ]
