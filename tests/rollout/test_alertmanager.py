"""What Alertmanager sends becomes demands, and nothing that it sends takes a demand away."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serinus.rollout.alertmanager import LONGEST_REASON, Memory, Payload, Read, plain, read
from serinus.rollout.demand import Action, Demand

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def alert(**changes: Any) -> dict[str, Any]:
    """A firing alert as Alertmanager writes it."""
    labels = {"alertname": "CanaryErrors", "serinus_service": "chat", "serinus_action": "rollback"}
    return {
        "status": "firing",
        "labels": labels | changes.pop("labels", {}),
        "annotations": {"summary": "7 % of the canary's answers are errors"},
        "startsAt": "2026-11-21T12:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "a1b2c3d4e5f60718",
        **changes,
    }


def understood(*alerts: Any, **changes: Any) -> Read:
    return read(Payload.model_validate({"version": "4", "alerts": list(alerts), "receiver": "serinus", **changes}))


def test_a_firing_alert_is_a_demand() -> None:
    assert understood(alert()).demands == [
        Demand(
            service="chat",
            action=Action.ROLLBACK,
            reason="7 % of the canary's answers are errors",
            by="alert CanaryErrors",
            fingerprint="a1b2c3d4e5f60718@2026-11-21T12:00:00.123456+00:00",
            at=datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC),
        )
    ]


def test_a_resolved_alert_demands_nothing() -> None:
    assert understood(alert(status="resolved")) == Read([], resolved=1, foreign=0, mistakes=[])


def test_an_alert_that_names_no_service_is_not_for_us() -> None:
    assert understood(alert(labels={"serinus_service": ""})) == Read([], resolved=0, foreign=1, mistakes=[])


@pytest.mark.parametrize("action", ["", "Rollback", "raise"])
def test_an_alert_with_an_unknown_action_holds_and_says_why(action: str) -> None:
    (demand,) = understood(alert(labels={"serinus_action": action})).demands
    assert demand.action is Action.HOLD
    assert f"serinus_action is {action!r}; allowed: rollback, hold, notify" in demand.reason


def test_the_strongest_demand_comes_first() -> None:
    asked = [alert(labels={"serinus_action": action}) for action in ("notify", "hold", "rollback")]
    assert [one.action for one in understood(*asked).demands] == [Action.ROLLBACK, Action.HOLD, Action.NOTIFY]


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"status": "pending"}, "alerts.0.status"),
        ({"labels": {"serinus_service": 7}}, "alerts.0.labels.serinus_service"),
        ({"startsAt": "yesterday"}, "alerts.0.startsAt"),
        ({"startsAt": "2026-11-21T12:00:00"}, "alerts.0.startsAt"),
        ({"fingerprint": "../.."}, "alerts.0.fingerprint"),
        ({"annotations": {str(number): "" for number in range(129)}}, "alerts.0.annotations"),
        ({"annotations": {"summary": "x" * 8193}}, "alerts.0.annotations.summary"),
    ],
    ids=lambda part: part if isinstance(part, str) else None,
)
def test_a_broken_alert_is_lost_alone(broken: dict[str, Any], named: str) -> None:
    found = understood(alert(**broken), alert())
    assert len(found.demands) == 1
    assert [one for one in found.mistakes if one.startswith(named)]


@pytest.mark.parametrize(
    "changes", [{"version": "3"}, {"version": 4}, {"alerts": {}}, {"alerts": [{}] * 5001}, {"truncatedAlerts": -1}]
)
def test_what_is_no_payload_of_version_4_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        understood(**changes)


def test_alerts_that_were_left_out_are_told() -> None:
    assert "3 alerts were left out" in understood(truncatedAlerts=3).mistakes[0]


@given(st.text(max_size=600))
def test_a_reason_is_one_printable_line_of_bounded_length(text: str) -> None:
    told = plain(text, LONGEST_REASON)
    assert len(told) <= LONGEST_REASON
    assert told.isprintable()


def test_the_same_alert_counts_once_and_a_new_one_anew() -> None:
    memory = Memory()
    memory.keep(["a@1"], NOW)
    assert memory.knows("a@1", NOW)
    assert not memory.knows("a@2", NOW)


def test_memory_ends_with_time_but_not_while_the_alert_is_repeated() -> None:
    memory = Memory(seconds=60)
    memory.keep(["repeated", "once"], NOW)
    for minute in range(1, 4):
        assert memory.knows("repeated", NOW + timedelta(seconds=59 * minute))
    assert not memory.knows("once", NOW + timedelta(seconds=61))
    assert len(memory) == 1


@given(st.lists(st.integers(0, 50), max_size=200))
def test_memory_is_bounded_and_keeps_the_newest(sent: list[int]) -> None:
    memory = Memory(most=10)
    for number in sent:
        memory.keep([str(number)], NOW)
        assert memory.knows(str(number), NOW)
        assert len(memory) <= 10
