"""Turns of the agent against an API server that goes away, refuses, and lets others write in between."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from serinus.agent.api import Api
from serinus.agent.ears import ticking
from serinus.agent.gateway import Pages, sample
from serinus.agent.rollout import Rollout
from serinus.agent.telemetry import Telemetry
from serinus.rollout.bill import Paid
from serinus.rollout.budget import Spending
from serinus.rollout.cut import MANAGER
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.demand import Action, Demand
from serinus.rollout.share import WEIGHT
from tests.agent.rollout_server import INGRESS, PLACE, RELEASE, RULES, CountingGateway, RolloutServer, reached
from tests.agent.small_api_server import said

MANY = 12


class Agent:
    """An agent whose turns a test takes one by one; each hears the gateway first."""

    def __init__(self, api: Api, server: RolloutServer, leads: bool = True) -> None:
        self.api = api
        self.server = server
        self.gateway = CountingGateway()
        self.leads = leads
        self.deeds: list[Deed] = []
        self.begin()

    def begin(self) -> None:
        """The process begins, knowing nothing."""
        seen, patience = Telemetry().of(PLACE), timedelta(seconds=30)
        self.rollout = Rollout(PLACE, RULES, patience, self.api, self.api, seen, lambda: self.leads, self.deeds.append)

    async def turn(self, **counted: Any) -> None:
        self.gateway.count(**counted)
        self.rollout.heard(sample(Pages({"a": self.gateway.page()}, ("a",))))
        await self.rollout.turn()

    def demand(self, action: Action = Action.ROLLBACK) -> bool:
        return self.rollout.take(Demand("chat", action, "it sings flat", "ada", "1", datetime.now(UTC)))


def play(story: Callable[[Agent], Awaitable[None]], leads: bool = True) -> Agent:
    async def run() -> Agent:
        server = RolloutServer()
        async with reached(server) as api:
            agent = Agent(api, server, leads)
            for _ in range(3):
                await agent.turn()
            await story(agent)
            return agent

    return asyncio.run(run())


async def break_down(agent: Agent) -> None:
    for _ in range(MANY):
        await agent.turn(canary=(2, 2))
        if agent.deeds:
            return


def test_a_canary_that_breaks_is_cut_first_and_held_then() -> None:
    agent = play(break_down)
    assert agent.server.annotations[WEIGHT] == "0"
    assert "the canary failed" in agent.server.status["hold"]["reason"]
    assert (agent.server.status["verdict"], agent.server.status["allowedWeight"]) == ("fail", 0)
    assert [deed.kind for deed in agent.deeds] == [Kind.CUT]
    written = [path for method, path in agent.server.asked if method == "PATCH"]
    assert written.index(INGRESS) < len(written) - 1 - written[::-1].index(f"{RELEASE}/status")


def test_a_demand_cuts_at_once_on_a_replica_that_does_not_lead_too() -> None:
    async def story(agent: Agent) -> None:
        assert agent.server.status == {}
        assert agent.demand()
        await agent.turn()

    agent = play(story, leads=False)
    assert agent.server.annotations[WEIGHT] == "0"
    assert agent.server.status["hold"]["by"] == "ada"
    assert [deed.kind for deed in agent.deeds] == [Kind.CUT]


@pytest.mark.parametrize(("leads", "entered"), [(True, [Kind.STEP]), (False, [])])
def test_a_step_is_entered_by_the_replica_that_leads_alone(leads: bool, entered: list[Kind]) -> None:
    async def story(agent: Agent) -> None:
        agent.server.annotate("pulumi", {WEIGHT: "50"})
        await agent.turn()

    assert [deed.kind for deed in play(story, leads).deeds] == entered


def test_what_is_demanded_of_another_service_is_not_done_and_too_much_is_refused() -> None:
    async def story(agent: Agent) -> None:
        assert agent.rollout.take(Demand("other", Action.ROLLBACK, "r", "ada", "1", datetime.now(UTC)))
        assert agent.demand(Action.NOTIFY)
        taken = [agent.demand() for _ in range(1001)]
        assert taken == [True] * 1000 + [False]
        await agent.turn()

    play(story)


@pytest.mark.parametrize(
    ("action", "refused"),
    [(Action.ROLLBACK, INGRESS), (Action.ROLLBACK, f"{RELEASE}/status"), (Action.HOLD, "/status")],
)
def test_a_demand_stands_when_all_of_it_is_written_and_not_before(action: Action, refused: str) -> None:
    async def story(agent: Agent) -> None:
        agent.server.before = lambda method, path: said(503, "away") if path.endswith(refused) else None
        await agent.rollout.stood()  # nothing is demanded
        assert agent.demand(action)
        told = asyncio.create_task(agent.rollout.stood())
        await agent.turn()
        assert not told.done()
        agent.server.before = lambda method, path: None
        await agent.turn()
        await asyncio.wait_for(told, 20)

    agent = play(story)
    assert (agent.server.status["hold"]["by"], agent.server.annotations[WEIGHT]) == (
        "ada",
        "0" if action is Action.ROLLBACK else "20",
    )


def test_a_thousand_demands_at_once_are_one_cut_and_one_hold() -> None:
    async def story(agent: Agent) -> None:
        agent.server.asked.clear()
        assert all(agent.demand() for _ in range(1000))
        waiting = asyncio.gather(*(agent.rollout.stood() for _ in range(1000)))
        await agent.turn()
        await asyncio.wait_for(waiting, 20)

    agent = play(story)
    assert [path for method, path in agent.server.asked if method == "PATCH"] == [INGRESS, f"{RELEASE}/status"]


@pytest.mark.parametrize("killed_at", range(4))
def test_an_agent_killed_at_any_request_of_a_cut_is_followed_by_one_that_finishes_it(killed_at: int) -> None:
    async def story(agent: Agent) -> None:
        requests = 0

        def away(method: str, path: str) -> web.Response | None:
            nonlocal requests
            requests += 1
            return said(503, "killed") if requests > killed_at else None

        agent.demand()
        agent.server.before = away
        await agent.turn()
        agent.server.before = lambda method, path: None
        agent.begin()
        # Who was killed before the cut has it demanded again: Alertmanager repeats itself.
        if agent.server.annotations[WEIGHT] != "0":
            agent.demand()
        deadline = asyncio.get_running_loop().time() + 20
        while "hold" not in agent.server.status and asyncio.get_running_loop().time() < deadline:
            await agent.turn(canary=(0, 0))
            await asyncio.sleep(0.05)

    agent = play(story)
    assert agent.server.annotations[WEIGHT] == "0"
    assert agent.server.status["hold"]
    assert [deed.kind for deed in agent.deeds] == [Kind.CUT]


def test_a_cut_is_tried_until_the_api_server_is_back() -> None:
    async def story(agent: Agent) -> None:
        agent.server.silent = True
        for _ in range(MANY):
            await agent.turn(canary=(2, 2))
        assert agent.server.annotations[WEIGHT] == "20"
        agent.server.silent = False
        await agent.turn(canary=(2, 2))

    agent = play(story)
    assert (agent.server.annotations[WEIGHT], len(agent.deeds)) == ("0", 1)


def test_a_hold_that_somebody_writes_meanwhile_is_never_overwritten() -> None:
    async def story(agent: Agent) -> None:
        first = True

        def meanwhile(method: str, path: str) -> web.Response | None:
            nonlocal first
            if method == "PATCH" and path == f"{RELEASE}/status" and first:
                first = False
                hold = {"reason": "look first", "by": "eve", "since": datetime.now(UTC).isoformat()}
                agent.server.write_status(hold=hold)
            return None

        agent.server.before = meanwhile
        agent.server.objects[RELEASE]["metadata"]["generation"] = 2
        await agent.turn()
        assert not first

    agent = play(story)
    assert agent.server.status["hold"]["by"] == "eve"
    assert (agent.server.status["observedGeneration"], agent.server.status["allowedWeight"]) == (2, 0)


def test_a_cut_that_somebody_raises_by_hand_is_cut_again() -> None:
    async def story(agent: Agent) -> None:
        agent.demand()
        await agent.turn()
        agent.server.annotate("kubectl-annotate", {WEIGHT: "3"})
        await agent.turn(canary=(0, 0))

    agent = play(story)
    assert agent.server.annotations[WEIGHT] == "0"
    assert agent.server.objects[INGRESS]["metadata"]["managedFields"][-1]["manager"] == "serinus-agent"


@pytest.mark.parametrize(
    "garble", [lambda page: page.replace(" 4", " NaN"), lambda page: page[: len(page) // 2], lambda _: "<html>"]
)
def test_garbage_from_the_gateway_is_no_health(garble: Callable[[str], str]) -> None:
    async def story(agent: Agent) -> None:
        before = agent.server.status["canaryCounts"]
        agent.gateway.garble = garble
        for _ in range(3):
            await agent.turn()
        agent.server.objects[RELEASE]["metadata"]["generation"] = 2
        await agent.turn()
        assert agent.server.status["canaryCounts"]["requests"] <= before["requests"] + 8

    assert play(story).server.status["verdict"] != "pass"


def test_without_its_objects_there_is_nothing_to_do() -> None:
    async def story(agent: Agent) -> None:
        agent.demand()
        ingress = agent.server.objects.pop(INGRESS)
        await agent.turn()
        assert agent.server.status["weight"] == 0
        agent.server.objects[INGRESS] = ingress
        release = agent.server.objects.pop(RELEASE)
        await agent.turn()
        agent.server.objects[RELEASE] = release
        await agent.turn()

    agent = play(story)
    assert agent.server.annotations[WEIGHT] == "0"
    assert agent.server.status["hold"]["by"] == "ada"


def budget_of(agent: Agent) -> dict[str, Any]:
    found: dict[str, Any] = agent.server.status["budget"]
    return found


def declare(agent: Agent, **more: Any) -> None:
    """Change the spec as its stack would."""
    there = agent.server.objects[RELEASE]
    agent.server.put(RELEASE, {**there, "spec": {**there["spec"], **more}})


def test_a_canary_that_nobody_sees_goes_a_step_back_in_its_own_name_and_stays_there() -> None:
    async def story(agent: Agent) -> None:
        declare(agent, ladder=[{"weight": 5}, {"weight": 20}, {"weight": 100}])
        agent.begin()
        agent.rollout.rules = replace(RULES, blind_hold=None, blind_decay=timedelta(0))
        for _ in range(6):
            await agent.rollout.turn()

    agent = play(story)
    assert agent.server.annotations[WEIGHT] == "5"
    (entry,) = [one for one in agent.server.objects[INGRESS]["metadata"]["managedFields"] if one["manager"] == MANAGER]
    assert entry["operation"] == "Apply"
    assert (agent.server.status["weight"], agent.server.status["allowedWeight"]) == (5, 0)
    assert {deed.kind for deed in agent.deeds} == {Kind.BLIND, Kind.STEP}


def test_what_the_tokens_cost_stands_in_the_status_and_is_forgotten_no_more() -> None:
    async def story(agent: Agent) -> None:
        assert agent.rollout.owed() is None
        declare(agent, budget={"perDay": 100, "outputPerMillion": 2})
        await agent.turn()
        owed = agent.rollout.owed()
        assert owed is not None
        assert (owed.namespace, owed.release, owed.price.of(0, 1_000_000)) == (PLACE.namespace, "v2-01234567", 2.0)
        assert set(budget_of(agent)) == {"at", "perDay", "acted"}
        now = datetime.now(UTC)
        agent.rollout.paid(Paid("v2-01234567", Spending(3.0, 0.0, 60), now, ticking()))
        await agent.turn()
        assert (budget_of(agent)["spent"], budget_of(agent)["perHour"], budget_of(agent)["forecast"]) == (3.0, 0.0, 3.0)
        # A count that is too old says nothing of now.
        agent.rollout.paid(Paid("v2-01234567", Spending(3.0, 0.0, 60), now, ticking() - timedelta(minutes=5)))
        await agent.turn()
        assert budget_of(agent).keys() == {"at", "perDay", "spent", "acted"}

    play(story)


def test_a_spent_budget_cuts_where_it_is_asked_to() -> None:
    async def story(agent: Agent) -> None:
        declare(agent, budget={"perDay": 2, "outputPerMillion": 2, "action": "rollback"})
        await agent.turn()
        agent.rollout.paid(Paid("v2-01234567", Spending(3.0, 0.0, 60), datetime.now(UTC), ticking()))
        for _ in range(3):
            await agent.turn()

    agent = play(story)
    assert agent.server.annotations[WEIGHT] == "0"
    assert agent.server.status["hold"]["reason"] == "the canary has cost 3.00 today, the budget is 2.00"
    assert [deed.kind for deed in agent.deeds] == [Kind.CUT]
