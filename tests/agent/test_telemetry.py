"""What the agent shows of a service: what is not known is no number, and what is gone is not shown."""

from serinus.agent.place import Place
from serinus.agent.telemetry import Telemetry
from serinus.rollout.status import Status, read_status
from tests.rollout.step_cases import PASSING

OF_CHAT = '{serinus_namespace="llm",serinus_service="chat"}'


def status(**more: object) -> Status:
    found = read_status({**PASSING, **more})
    assert isinstance(found, Status)
    return found


def costs(telemetry: Telemetry) -> list[str]:
    names = ("serinus_canary_budget", "serinus_canary_cost", "serinus_canary_cost_forecast")
    lines = telemetry.page().decode().splitlines()
    return [line.rpartition(" ")[2] for name in names for line in lines if line.startswith(f"{name}{OF_CHAT} ")]


def test_a_cost_that_nobody_knows_is_no_number() -> None:
    telemetry = Telemetry()
    seen = telemetry.of(Place("llm", "chat"))
    assert costs(telemetry) == ["NaN", "NaN", "NaN"]
    bill = {"at": PASSING["observedAt"], "perDay": 50, "spent": 2.5, "perHour": 1, "forecast": 14.5}
    for budget, told in ((bill, ["50.0", "2.5", "14.5"]), ({**bill, "forecast": None}, ["50.0", "2.5", "NaN"])):
        one = status(budget=budget)
        seen.observed(one, one.observed_at)
        assert costs(telemetry) == told
    seen.observed(status(), status().observed_at)
    assert costs(telemetry) == ["NaN", "NaN", "NaN"]
    seen.forget()
    assert costs(telemetry) == []
