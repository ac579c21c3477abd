import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web

from serinus.agent.place import Place
from serinus.agent.prometheus import Witness, Witnesses, firing
from serinus.agent.telemetry import Telemetry
from serinus.rollout.demand import Action, Demand
from tests.agent.rollout_server import PLACE, serving

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LABELS = {"alertname": "CanaryErrorRate", "serinus_service": "chat", "serinus_action": "rollback"}


def row(**changes: object) -> dict[str, object]:
    return {"metric": {**LABELS, **changes}, "value": [0, "1"]}


def test_an_alert_that_fires_asks_for_what_it_is_labelled_with() -> None:
    found = firing([row(), row(serinus_action="hold")], NOW, PLACE)
    assert [demand.action for demand in found.values()] == [Action.ROLLBACK, Action.HOLD]
    assert {demand.by for demand in found.values()} == {"alert CanaryErrorRate"}


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "NaN",
        [None, 7, {}, {"metric": 3}],
        [row(serinus_service="other")],
        [row(namespace="elsewhere")],
        [row(serinus_action="delete")],
        [row(alertname="")],
        [row(alertname=7)],
    ],
)
def test_garbage_asks_for_nothing(rows: object) -> None:
    assert firing(rows, NOW, PLACE) == {}


def test_services_of_one_name_are_told_apart_by_their_namespace() -> None:
    rows = [row(namespace="llm"), row(alertname="SlowCanary", namespace="shop")]
    for namespace, told in (("llm", "alert CanaryErrorRate"), ("shop", "alert SlowCanary")):
        (demand,) = firing(rows, NOW, Place(namespace, "chat")).values()
        assert demand.by == told


def test_each_alert_is_handed_on_once_while_it_fires_and_prometheus_may_be_away() -> None:
    answers: list[object] = []
    taken: list[Demand] = []

    async def handler(request: web.Request) -> web.Response:
        assert 'alertstate="firing"' in request.query["query"]
        rows = answers.pop(0)
        if rows is None:
            return web.Response(status=503)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async def run() -> list[int]:
        up = Telemetry().of(PLACE).prometheus_up

        def take(demand: Demand) -> bool:
            taken.append(demand)
            return True

        seen = []
        async with serving(handler) as url:
            witness = Witness(url)
            witness.listen(PLACE, take, up)
            for rows in ([row()], [row()], None, [], [row()]):
                answers.append(rows)
                await witness.ask()
                seen.append(len(taken))
            witness.close()
        return seen

    assert asyncio.run(run()) == [1, 1, 1, 1, 2]


def test_one_prometheus_is_asked_once_for_all_that_name_it_and_no_more_when_they_leave() -> None:
    asked = 0
    taken: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        rows = [row(namespace="llm"), row(namespace="shop")]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": rows}})

    def take_at(place: Place) -> Callable[[Demand], bool]:
        def take(demand: Demand) -> bool:
            taken.append(f"{place} {demand.by}")
            return True

        return take

    async def run() -> None:
        telemetry, witnesses = Telemetry(), Witnesses()
        places = [Place("llm", "chat"), Place("shop", "chat")]
        async with serving(handler) as url:
            for place in places:
                witnesses.listen(place, url, take_at(place), telemetry.of(place).prometheus_up)
            deadline = time.monotonic() + 20
            while len(taken) < len(places) and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            for place in places:
                witnesses.leave(place)
            await asyncio.sleep(0)
        assert [task for task in asyncio.all_tasks() if "Witness" in repr(task)] == []

    asyncio.run(run())
    assert (sorted(taken), asked) == (["llm/chat alert CanaryErrorRate", "shop/chat alert CanaryErrorRate"], 1)
