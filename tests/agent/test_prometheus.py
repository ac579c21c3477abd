import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web

from serinus.agent.prometheus import Witness, firing
from serinus.agent.telemetry import Telemetry
from serinus.rollout.demand import Action, Demand
from tests.agent.rollout_server import serving

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LABELS = {"alertname": "CanaryErrorRate", "serinus_service": "chat", "serinus_action": "rollback"}


def row(**changes: object) -> dict[str, object]:
    return {"metric": {**LABELS, **changes}, "value": [0, "1"]}


def test_an_alert_that_fires_asks_for_what_it_is_labelled_with() -> None:
    found = firing([row(), row(serinus_action="hold")], "chat", NOW)
    assert [demand.action for demand in found.values()] == [Action.ROLLBACK, Action.HOLD]
    assert {demand.by for demand in found.values()} == {"alert CanaryErrorRate"}


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "NaN",
        [None, 7, {}, {"metric": 3}],
        [row(serinus_service="other")],
        [row(serinus_action="delete")],
        [row(alertname="")],
        [row(alertname=7)],
    ],
)
def test_garbage_asks_for_nothing(rows: object) -> None:
    assert firing(rows, "chat", NOW) == {}


def test_each_alert_is_handed_on_once_while_it_fires_and_prometheus_may_be_away() -> None:
    answers: list[object] = []
    taken: list[Demand] = []

    async def handler(request: web.Request) -> web.Response:
        assert 'serinus_service="chat"' in request.query["query"]
        rows = answers.pop(0)
        if rows is None:
            return web.Response(status=503)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async def run() -> list[int]:
        telemetry = Telemetry("chat")

        def take(demand: Demand) -> bool:
            taken.append(demand)
            return True

        seen = []
        async with serving(handler) as url:
            witness = Witness(url, "chat", telemetry, take)
            for rows in ([row()], [row()], None, [], [row()]):
                answers.append(rows)
                await witness.ask()
                seen.append(len(taken))
            witness.close()
        return seen

    assert asyncio.run(run()) == [1, 1, 1, 1, 2]
