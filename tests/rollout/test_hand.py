"""A person's hand changes what it may in a status, and nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.rollout.canary_release import Spec
from serinus.rollout.hand import HandError, approved, held, resumed
from serinus.rollout.hold import Approval, Hold
from serinus.rollout.memory import LOST
from serinus.rollout.status import Status, read_status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPEC = Spec.model_validate(
    {
        "service": "chat",
        "host": "chat.test",
        "stable": "v1-00000001",
        "canary": "v2-00000002",
        "weight": 20,
        "ladder": [{"weight": 5}, {"weight": 20}, {"weight": 50, "approval": True}, {"weight": 100, "approval": True}],
    }
)
HOLD = Hold(reason="users complain", by="ada", since=NOW)


def status(**changes: Any) -> dict[str, Any]:
    """The status of a canary at 20 % that may not rise for want of an approval alone."""
    return {
        "service": "chat",
        "canary": "v2-00000002",
        "weight": 20,
        "verdict": "pass",
        "because": "as good",
        "stepStartedAt": (NOW - timedelta(seconds=60)).isoformat(),
        "bakedSeconds": 50.0,
        "observedAt": NOW.isoformat(),
        "observedGeneration": 3,
        "allowedWeight": 20,
        "reasons": ["no approval"],
        "ofALaterVersion": {"kept": True},
        **changes,
    }


def read(document: dict[str, Any]) -> Status:
    found = read_status(document)
    assert isinstance(found, Status), found
    return found


def test_a_hold_ends_the_step_and_allows_nothing() -> None:
    after = held(SPEC, 3, status(), HOLD)
    found = read(after)
    assert (found.hold, found.weight, found.allowed_weight, found.baked_seconds) == (HOLD, 0, 0, 0.0)
    assert found.observed_at == NOW
    assert after["ofALaterVersion"] == {"kept": True}


def test_the_first_hold_stays() -> None:
    first = Hold(reason="errors", by="serinus-agent", since=NOW - timedelta(minutes=5))
    assert read(held(SPEC, 3, status(hold=first.document()), HOLD)).hold == first


def test_a_hold_of_an_agent_that_does_not_know_why_gives_way_to_a_persons() -> None:
    lost = Hold(reason=LOST, by="serinus-agent", since=NOW)
    assert read(held(SPEC, 3, status(hold=lost.document()), HOLD)).hold == HOLD


@pytest.mark.parametrize("before", [None, {}, {"weight": "twenty"}, "garbage"])
def test_a_release_without_a_readable_status_is_held_as_well(before: object) -> None:
    found = read(held(SPEC, 3, before, HOLD))
    assert (found.hold, found.allowed_weight, found.observed_generation) == (HOLD, 0, 3)


def test_a_resumed_release_may_rise_as_its_evidence_allows() -> None:
    after = resumed(SPEC, 3, held(SPEC, 3, status(), HOLD), NOW)
    found = read(after)
    assert (found.hold, found.weight, found.allowed_weight) == (None, 0, 5)
    assert after["ofALaterVersion"] == {"kept": True}


def test_a_resumed_release_that_nobody_has_looked_at_for_long_stays_where_it_is() -> None:
    found = read(resumed(SPEC, 3, held(SPEC, 3, status(), HOLD), NOW + timedelta(minutes=5)))
    assert (found.hold, found.allowed_weight) == (None, 0)
    assert found.reasons


def test_who_is_not_held_is_not_resumed() -> None:
    with pytest.raises(HandError, match="chat is not held"):
        resumed(SPEC, 3, status(), NOW)


def test_an_approval_lets_the_release_rise_to_its_rung_only() -> None:
    found = read(approved(SPEC, 3, status(), Approval(weight=50, by="ada", at=NOW)))
    assert found.allowed_weight == 50
    assert [one.weight for one in found.approvals] == [50]


def test_a_second_approval_of_a_rung_replaces_the_first() -> None:
    first = approved(SPEC, 3, status(), Approval(weight=50, by="eve", at=NOW))
    other = approved(SPEC, 3, first, Approval(weight=100, by="eve", at=NOW))
    found = read(approved(SPEC, 3, other, Approval(weight=50, by="ada", at=NOW)))
    assert {(one.weight, one.by) for one in found.approvals} == {(50, "ada"), (100, "eve")}


@pytest.mark.parametrize("weight", [20, 30])
def test_a_weight_that_asks_for_no_approval_gets_none(weight: int) -> None:
    with pytest.raises(HandError, match=f"the rise to {weight} % needs no approval") as raised:
        approved(SPEC, 3, status(), Approval(weight=weight, by="ada", at=NOW))
    assert "In the ladder of chat: 50 %, 100 %." in raised.value.remedy


@pytest.mark.parametrize("before", [None, {"weight": "twenty"}])
def test_without_a_readable_status_nothing_is_resumed_or_approved(before: object) -> None:
    with pytest.raises(HandError, match="status"):
        resumed(SPEC, 3, before, NOW)
    with pytest.raises(HandError, match="status"):
        approved(SPEC, 3, before, Approval(weight=50, by="ada", at=NOW))
