"""The tokens are counted where they can be, by a Prometheus of the test's own; what can't be counted is not made up."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from serinus.agent.meter import Customer, Meter
from serinus.rollout.bill import Owed, Paid
from serinus.rollout.budget import Price
from tests.agent.rollout_server import serving


@dataclass
class Payer:
    """A service with a budget, in a step that began three minutes ago."""

    release: str = "v2-01234567"
    budget: bool = True
    bills: list[Paid] = field(default_factory=list)

    def owed(self) -> Owed | None:
        since = datetime.now(UTC) - timedelta(seconds=180)
        return Owed("llm", self.release, Price(1.0, 10.0), since) if self.budget else None

    def paid(self, paid: Paid) -> None:
        self.bills.append(paid)


def counted(*payers: Payer, answer: Callable[[str], object], elsewhere: str = "") -> list[str]:
    """Count once for everybody; the last asks `elsewhere` if given. Return the questions."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.query["query"])
        rows = answer(asked[-1])
        if rows is None:
            return web.Response(status=503)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async def run() -> None:
        async with serving(handler) as url:
            urls = [*[url] * (len(payers) - 1), elsewhere or url]
            await Meter(lambda: [Customer(*one) for one in zip(payers, urls, strict=True)]).count()

    asyncio.run(run())
    return asked


def rows(read: object, written: object) -> list[dict[str, object]]:
    both = {"input": read, "output": written}
    return [{"metric": {"type": kind}, "value": [0, str(value)]} for kind, value in both.items()]


def test_it_asks_for_the_day_and_for_the_step() -> None:
    payer = Payer()
    asked = counted(payer, answer=lambda query: rows(1e6, 2e6) if "[180s]" in query else rows(3e6, 4e6))
    assert len(asked) == 2
    assert all('namespace="llm",release="v2-01234567"' in query for query in asked)
    (paid,) = payer.bills
    assert (paid.release, paid.spending.today, paid.spending.recent) == ("v2-01234567", 43.0, 21.0)
    assert 180 <= paid.spending.recent_seconds <= 182


@pytest.mark.parametrize(
    "said", [None, [], "NaN", rows("NaN", 1), rows(1, -1), rows(1, 1)[:1]], ids=["away", "none", "text", *"abc"]
)
def test_what_is_no_count_is_no_bill(said: object) -> None:
    payer = Payer()
    counted(payer, answer=lambda _: said)
    assert payer.bills == []


@pytest.mark.parametrize("release", ["", 'v2"} or vector(1', "v2\n", "v" * 64])
def test_a_name_that_is_none_is_put_into_no_question(release: str) -> None:
    assert counted(Payer(release), answer=lambda _: rows(1, 1)) == []


def test_who_has_no_budget_or_no_prometheus_is_not_asked_for() -> None:
    assert counted(Payer(budget=False), answer=lambda _: rows(1, 1)) == []

    async def run() -> None:
        await Meter(lambda: [Customer(Payer(), "")]).count()

    asyncio.run(run())


def test_a_prometheus_that_is_away_is_asked_once_and_keeps_nobody_elses_from_counting() -> None:
    first, second, other = Payer(), Payer(), Payer()
    asked = counted(first, second, other, answer=lambda _: None, elsewhere="http://127.0.0.1:9")
    assert len(asked) == 1
    asked = counted(other, first, second, answer=lambda _: rows(1, 1), elsewhere="http://127.0.0.1:9")
    assert (len(first.bills), len(second.bills), len(other.bills), len(asked)) == (1, 0, 1, 4)
