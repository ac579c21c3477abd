"""Witnesses that mislead: a Prometheus of nonsense, alerts in any order and any number, and clocks that lie."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bench.chaos.odd_prometheus import ODD
from bench.chaos.replicas import LEASE
from bench.chaos.stage import Scenario, Stage
from bench.load import Load
from local.alongside import alongside
from serinus.rollout.alertmanager import ACTION, SERVICE
from tests.cluster.agents import WEIGHT_ON_TRIAL

_LIAR = "liar"


def prometheus_is(mode: str) -> Callable[[Stage, Load], None]:
    """Break the canary while Prometheus is in this mode. Before that nobody is cut for what it says."""

    def play(stage: Stage, load: Load) -> None:
        stage.prometheus.mode = mode
        asked = stage.prometheus.asked
        stage.watched.until(lambda: stage.prometheus.asked > asked)
        _still_on_trial(stage)
        stage.watched.break_canary()

    return play


def alert(number: int = 0, minutes: int = 0, status: str = "firing") -> dict[str, object]:
    """One alert, in Alertmanager's words, that began so many minutes ago."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes)
    return {
        "status": status,
        "labels": {"alertname": f"Chaos{number}", SERVICE: "chat", ACTION: "rollback"},
        "annotations": {"summary": f"chaos {number}"},
        "startsAt": began.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:016x}",
    }


def payload(*alerts: dict[str, object]) -> dict[str, object]:
    """What Alertmanager posts."""
    return {"version": "4", "status": "firing", "receiver": "chaos", "alerts": list(alerts)}


def the_same_alert_again_and_again(stage: Stage, load: Load) -> None:
    resolved = payload(alert(minutes=1, status="resolved"))
    stage.replicas.post_until_taken("/v1/alerts", resolved)
    _still_on_trial(stage)
    bodies = [payload(alert(minutes=1))] * 100 + [payload(alert(minutes=minutes)) for minutes in (3, 2, 5, 4)]
    stage.chance.shuffle(bodies)
    stage.replicas.post_at_once("/v1/alerts", [*bodies, resolved], senders=8)


def different_alerts_at_once(stage: Stage, load: Load) -> None:
    alerts = [alert(number) for number in range(1, 1001)]
    bodies = [payload(*alerts[start : start + 50]) for start in range(0, len(alerts), 50)]
    stage.replicas.post_at_once("/v1/alerts", bodies, senders=len(bodies))


def a_dead_leader_from_the_future(stage: Stage, load: Load) -> None:
    """Another replica holds the Lease and dies; its clock is five years ahead. Nobody may wait for that time."""
    _seize(stage, "2031-01-01T00:00:00.000000Z")
    holder = _holder(stage)
    stage.watched.break_canary()
    stage.watched.until(lambda: stage.watched.weight == "0")
    assert holder == _LIAR
    assert _holder(stage) != _LIAR


def a_leader_from_the_past(stage: Stage, load: Load) -> None:
    """Another replica leads and renews; its clock is 27 years behind. Whoever follows does what is demanded of it."""

    def renew(ended: threading.Event) -> None:
        number = 0
        while not ended.wait(0.5):
            number += 1
            _seize(stage, f"1999-01-01T00:00:00.{number:06d}Z")

    with alongside(renew):
        time.sleep(8.0)
        assert _holder(stage) == _LIAR, "a lease that is renewed was taken"
        stage.demand()
        stage.watched.wait_for_the_cut()


def _still_on_trial(stage: Stage) -> None:
    # What was said is taken in by then.
    time.sleep(1.0)
    assert stage.watched.weight == str(WEIGHT_ON_TRIAL)
    assert "hold" not in stage.watched.status


def _seize(stage: Stage, time_: str) -> None:
    spec = {"holderIdentity": _LIAR, "renewTime": time_, "leaseDurationSeconds": 6}
    taken = stage.watched.api.patch(LEASE, {"spec": spec})
    assert taken.ok, taken.message


def _holder(stage: Stage) -> str:
    return str(stage.watched.api.get(LEASE).document["spec"]["holderIdentity"])


SCENARIOS = (
    *(Scenario(f"Prometheus: {mode}", prometheus_is(mode), breaks=True) for mode in ODD),
    Scenario("the same alert 100 times, out of order, resolved first", the_same_alert_again_and_again),
    Scenario("1,000 different alerts at once", different_alerts_at_once),
    Scenario("a leader that died with a clock far ahead", a_dead_leader_from_the_future, breaks=True),
    Scenario("a leader whose clock is far behind", a_leader_from_the_past),
)
