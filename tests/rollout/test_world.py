from datetime import UTC, datetime
from typing import Any

import pytest

from serinus.rollout.cut import MANAGER
from serinus.rollout.share import CANARY, WEIGHT
from serinus.rollout.world import UnreadableError, read_route, read_spec, read_world

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPEC = {
    "service": "chat",
    "host": "chat.test",
    "stable": "v1-01234567",
    "canary": "v2-01234567",
    "weight": 20,
    "ladder": [{"weight": 20}, {"weight": 100}],
}


def test_a_key_of_a_newer_spec_is_left_alone() -> None:
    newer: dict[str, Any] = SPEC | {
        "colour": "yellow",
        "ladder": [{"weight": 20, "tune": {"a": 1}}, {"weight": 100}],
        "objectives": {"errors": {"limit": 0.1, "song": []}, "pitch": {}},
    }
    spec = read_spec(newer)
    assert (spec.weight, spec.objectives.errors.limit) == (20, 0.1)
    assert newer["colour"] == "yellow"


@pytest.mark.parametrize("broken", [None, {}, SPEC | {"weight": 120}, SPEC | {"ladder": [], "colour": "yellow"}, 7])
def test_a_spec_that_says_nothing_can_not_be_read(broken: object) -> None:
    with pytest.raises(UnreadableError):
        read_spec(broken)


def test_a_hold_counts_even_in_a_status_that_can_not_be_read() -> None:
    release = {"metadata": {"generation": 3, "resourceVersion": "7"}, "spec": SPEC, "status": {"hold": {"why": 1}}}
    world = read_world(release, None, NOW)
    assert (world.status, world.route, world.generation, world.version) == (None, None, 3, "7")
    assert world.hold is not None


def test_a_route_says_who_wrote_the_weight_last() -> None:
    def entry(manager: str, time: str) -> dict[str, Any]:
        fields = {"f:metadata": {"f:annotations": {f"f:{WEIGHT}": {}}}}
        return {"manager": manager, "operation": "Apply", "time": time, "fieldsV1": fields}

    entries = [entry("pulumi", "2026-11-21T12:00:00Z"), entry("kubectl-annotate", "2026-11-21T12:00:09Z")]
    metadata = {"annotations": {CANARY: "true", WEIGHT: "0"}, "managedFields": entries}
    assert read_route({"metadata": metadata}).writer == "kubectl-annotate"
    assert not read_route({"metadata": metadata}).cut_holds
    metadata["managedFields"] = [*entries, entry(MANAGER, "2026-11-21T12:00:01Z")]
    assert read_route({"metadata": metadata}).cut_holds
