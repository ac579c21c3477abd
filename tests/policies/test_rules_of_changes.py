"""The rules that compare what an update wants with what there was: asked directly, in a world of the test's making."""

from typing import Any

import pytest

from policies import checkpoint
from policies.rules.image_pinned_by_digest import RULE as PINNED
from serinus.rollout.patterns import bucket_pattern
from serinus.rollout.routing import Split, match
from tests.parity_cases import annotations, buckets
from tests.policies.direct import refusals
from tests.policies.model_pod import DEPLOYMENT, URN, container
from tests.policies.model_pod import deployment as pods
from tests.policies.world import HEADER, V1, V2, V3, World, canary, deployment, stable
from tests.rollout.step_cases import HOLD

TO_20 = canary(20)
OVERRIDE = {"by": "ada", "reason": "a fix", "until": "2026-11-21T13:00:00Z"}
ENDED = OVERRIDE | {"until": "2026-11-21T11:00:00Z"}


# --- the steps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "rule", "words"),
    [
        ({"bakedSeconds": 17}, "bake-time", "has baked 17.0 s of its 600 s (bake-not-over). Wait"),
        ({"verdict": "fail", "because": "E is 140"}, "verdict-required", "the canary failed: E is 140"),
        ({"verdict": "blind"}, "verdict-required", "no data is not health"),
        ({"canary": V3}, "verdict-required", f"judges the release {V3}"),
        ({"service": "other"}, "verdict-required", "the status is of the service other, not of chat"),
        ({"weight": "many"}, "verdict-required", "the status is malformed: weight: 'many'"),
        ({"observedAt": "2026-11-21T12:05:00Z"}, "verdict-required", "one of the clocks is wrong"),
        ({"observedAt": "2026-11-21T11:05:00Z"}, "verdict-required", "the status is 3300.0 s old"),
        ({"hold": HOLD}, "no-rise-while-held", "the release is held: every answer failed (held)"),
    ],
)
def test_each_rule_says_its_own_rows(status: dict[str, Any], rule: str, words: str) -> None:
    world = World().guarded(status)
    (message,) = world.said(TO_20)
    assert message.startswith(f"{rule}: chat-canary: ")
    assert words in message
    assert world.said(canary(5)) == world.said(canary(0)) == []


def test_the_approval_has_a_rule_of_its_own() -> None:
    world = World([stable(), canary(50)]).guarded({"weight": 50, "bakedSeconds": 3600, "allowedWeight": 100})
    (message,) = world.said(canary(100))
    assert message.startswith("approval-required: ")


def test_a_service_without_a_release_object_has_only_its_ladder() -> None:
    assert World().said(TO_20) == []
    (message,) = World().said(canary(50))
    assert message.startswith("weight-ladder: ")


def test_what_the_agent_has_cut_is_where_a_rise_begins() -> None:
    """The checkpoint says 20 still, and the settings too. That is no step that anybody may take unasked."""
    cut = World([stable(), canary(0)]).guarded({"weight": 0, "hold": HOLD})
    messages = cut.said(TO_20)
    assert [message.partition(":")[0] for message in messages] == ["weight-ladder", "no-rise-while-held"]


def test_a_cluster_that_can_not_be_read_lets_nothing_rise_and_everything_fall() -> None:
    world = World(unread="127.0.0.1 did not answer: timed out")
    messages = world.said(TO_20)
    assert [message.partition(":")[0] for message in messages] == ["weight-ladder", "verdict-required"]
    assert all("did not answer" in message for message in messages)
    assert "The checkpoint says 5" in messages[0]
    for lower in (0, 1, 5):
        assert world.said(canary(lower)) == []


def test_a_release_object_that_is_malformed_lets_nothing_rise() -> None:
    world = World().guarded(ladder=[])
    assert any("1 to 20 rungs" in message for message in world.said(TO_20))
    assert world.said(canary(0)) == []


def test_another_canary_than_the_declared_one_does_not_rise() -> None:
    world = World([stable(), canary(0, "chat-v3")]).guarded({"weight": 0, "verdict": "insufficient"})
    (message,) = world.said(canary(5, "chat-v3"))
    assert "routes to chat-v3, but the declared canary is v2-0f3a9c21 (other-backend)" in message


def test_an_override_waives_what_may_be_waived_until_it_ends() -> None:
    early = {"bakedSeconds": 0}
    assert World().guarded(early, override=OVERRIDE).said(TO_20) == []
    (message,) = World().guarded(early, override=ENDED).said(TO_20)
    assert "the override of ada ended at 2026-11-21T11:00:00+00:00 (override-ended)" in message
    assert World().guarded({"hold": HOLD}, override=OVERRIDE).said(TO_20) != []
    assert World().guarded(early, override=ENDED).said(canary(0)) == [], "what has ended blocks no decrease"


@pytest.mark.parametrize("wrong", [{"by": "ada", "until": OVERRIDE["until"]}, {**OVERRIDE, "reason": " "}, "yes"])
def test_an_override_that_can_not_be_read_waives_nothing(wrong: object) -> None:
    world = World().guarded({"bakedSeconds": 0}, override=wrong)
    assert world.said(TO_20) != []
    assert world.said(canary(0)) == []


# --- release-immutable-while-live -------------------------------------------------------------------------------------

RULE = "release-immutable-while-live"


@pytest.mark.parametrize(
    ("name", "role"), [("v1", "stable release"), ("v2", "canary")], ids=["the stable release", "the canary"]
)
@pytest.mark.parametrize("unread", ["", "it is away"])
def test_a_release_that_serves_does_not_change(name: str, role: str, unread: str) -> None:
    (message,) = World(unread=unread).said(deployment(f"{name}-99999999"), rule=RULE)
    assert f"serves as the {role}, and this update would make it {name}-99999999" in message


def test_a_release_that_serves_nobody_may_change_and_a_live_one_may_scale() -> None:
    resting = World([stable(), canary(0)])
    assert resting.said(deployment("v2-99999999"), rule=RULE) == []
    assert World().said(deployment(V1, 3), deployment(V2, 2), rule=RULE) == []
    assert World([], []).said(deployment(V1), stable(), rule=RULE) == [], "the first update of all"


AT_THE_TOP = {"weight": 100, "allowedWeight": 100, "bakedSeconds": 3600}


def test_all_users_move_only_to_the_canary_at_the_top() -> None:
    top = [stable(), canary(100)]
    assert World(top).said(stable("chat-v2", "chat-v1"), canary(0), rule=RULE) == []
    assert World(top).guarded(AT_THE_TOP).said(stable("chat-v2"), canary(0), rule=RULE) == []
    (message,) = World().said(stable("chat-v2"), rule=RULE)
    assert "only 5 % of the users are on chat-v2" in message
    (message,) = World(top).said(stable("chat-v3"), rule=RULE)
    assert "chat-v3 at once, and it is not the canary (untested-stable)" in message
    (message,) = World(top).guarded({**AT_THE_TOP, "weight": 0}).said(stable("chat-v2"), rule=RULE)
    assert "swap-too-early" in message, "the agent sees what a checkpoint does not"


def test_nobody_is_moved_by_a_cluster_that_can_not_be_read_but_back() -> None:
    away = World([stable("chat-v2", "chat-v1"), canary(0)], unread="it is away")
    (message,) = away.said(stable("chat-v3"), rule=RULE)
    assert "it is away" in message
    assert away.said(stable("chat-v1"), rule=RULE) == []


def test_the_stable_release_and_a_weight_do_not_change_in_one_update() -> None:
    world = World([stable(), canary(100)])
    (message,) = world.said(stable("chat-v2"), canary(5, "chat-v3"), rule=RULE)
    assert "the stable release changes in this update, and 5 % go to a canary too" in message
    assert world.said(stable(), canary(5, "chat-v3"), rule=RULE) == []


# --- evidence-feasible, capacity-headroom -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_second", "feasible"), [(2, False), (2000, True)], ids=["two a second", "two thousand a second"]
)
def test_a_bake_that_shows_nothing_is_refused_before_it_is_waited_for(per_second: float, feasible: bool) -> None:
    world = World([stable(), canary(0)]).guarded(
        {"weight": 0, "verdict": "insufficient", "allowedWeight": 5},
        expected={"requestsPerSecond": per_second, "smallestRegression": 0.03},
    )
    messages = world.said(canary(5), rule="evidence-feasible")
    assert (messages == []) == feasible
    if not feasible:
        assert "can't tell 3.0% of bad requests from 1.0%" in messages[0]
        assert "sees" in messages[0]
    assert world.said(canary(0), rule="evidence-feasible") == []


def test_a_stack_that_expects_nothing_is_asked_nothing() -> None:
    assert World().guarded().said(TO_20, rule="evidence-feasible") == []
    assert World().said(TO_20, rule="evidence-feasible") == []


def update(stable_pods: float, canary_pods: float, weight: int) -> list[dict[str, Any]]:
    """An update in the engine's order."""
    return [deployment(V1, stable_pods), deployment(V2, canary_pods), stable(), canary(weight)]


@pytest.mark.parametrize(
    ("stable_pods", "canary_pods", "refused"), [(1, 1, False), (4, 1, False), (6, 1, True), (6, 2, False), (5, 0, True)]
)
def test_the_canary_has_pods_for_its_share(stable_pods: float, canary_pods: float, refused: bool) -> None:
    messages = World().said(*update(stable_pods, canary_pods, 20), rule="capacity-headroom")
    assert bool(messages) == refused
    assert all("canary-overloaded" in message for message in messages)
    assert World().said(*update(stable_pods, 0, 5), rule="capacity-headroom") == [], "no rise, no question"


@pytest.mark.parametrize(
    ("stable_pods", "canary_pods", "code"), [(4, 1, ""), (3, 1, "no-way-back"), (4, 0, "canary-overloaded")]
)
def test_with_figures_both_can_carry_what_they_may_get(stable_pods: float, canary_pods: float, code: str) -> None:
    world = World().guarded(expected={"requestsPerSecond": 20, "perReplica": 5})
    messages = world.said(*update(stable_pods, canary_pods, 20), rule="capacity-headroom")
    assert [code in message for message in messages] == ([True] if code else [])


@pytest.mark.parametrize(("ready", "refused"), [(2, False), (1, True), (None, True)])
def test_pods_that_somebody_else_counts_count_when_they_are_ready(ready: int | None, refused: bool) -> None:
    def scaled(release: str, pods: int | None) -> dict[str, Any]:
        made = deployment(release, 1)
        made["metadata"]["annotations"] = {"serinus.dev/scaled": "true"}
        return made | ({} if pods is None else {"status": {"readyReplicas": pods}})

    world = World(deployments=[scaled(V1, 8), scaled(V2, ready)])
    messages = world.said(scaled(V1, None), scaled(V2, None), stable(), canary(20), rule="capacity-headroom")
    assert ["canary-overloaded" in one for one in messages] == ([True] if refused else [])


def test_a_release_that_does_not_run_yet_has_the_pods_that_it_is_born_with() -> None:
    born = deployment(V2, 2)
    born["metadata"]["annotations"] = {"serinus.dev/scaled": "true"}
    world = World(ingresses=[stable(), canary(0)], deployments=[deployment(V1, 8)])
    assert world.said(deployment(V1, 8), born, stable(), canary(5), rule="capacity-headroom") == []


@pytest.mark.parametrize(
    ("owner", "pods", "refused"),
    [("controller-manager", 8, True), ("kubectl", 8, False), ("controller-manager", 1, False)],
)
def test_a_number_of_pods_that_is_anothers_to_count_is_taken_back_first(owner: str, pods: int, refused: bool) -> None:
    counted = deployment(V1, pods)
    counted["metadata"]["annotations"] = {"serinus.dev/scaled": "true"}
    fields = {"f:spec": {"f:replicas": {}}}
    counted["metadata"]["managedFields"] = [{"manager": owner, "subresource": "scale", "fieldsV1": fields}]
    messages = World(deployments=[counted]).said(deployment(V1, 1), rule="capacity-headroom")
    assert ["kubectl -n serinus scale deployment chat-v1 --replicas 1" in one for one in messages] == [True] * refused


# --- bucket-pattern-valid ---------------------------------------------------------------------------------------------

PATTERNS: list[tuple[dict[str, str], dict[str, str], str]] = [
    (buckets(5), buckets(20), ""),
    (annotations(5), buckets(20), ""),
    (buckets(20), buckets(5), ""),
    (buckets(20), buckets(20), ""),
    (buckets(5), annotations(0, "0[0-4]"), "not a compiled one"),
    (buckets(5), annotations(0, "^(0[0-4$"), "not a compiled one"),
    (buckets(5), annotations(0, "^(?!0)[0-9]$"), "not a compiled one"),
    (buckets(20), buckets(20, start=30), "leaves out 20 endings, from 0 to 19"),
    (buckets(5), annotations(0, "^(0[0-4]|1[0-9])$"), "has no gaps"),
    (buckets(20), annotations(0, "^(0[0-4]|1[0-9])$"), ""),
    (annotations(0, "^(0[0-4$"), annotations(0, "^(0[0-4$"), ""),
    (buckets(5), {**buckets(20), HEADER: ""}, "has no header"),
    (
        buckets(20),
        annotations(0, "[01][0-9]$", by_header="X-Account"),
        "the way to split changes from X-User-Bucket to",
    ),
    (buckets(5), annotations(0, "[01][0-9]$", by_header="X-Account"), "the way to split changes from X-User-Bucket to"),
    (buckets(20), annotations(0, "0[0-4]$", by_header="X-Account"), ""),
    (buckets(0), annotations(0, "0[0-4]$", by_header="X-Account"), ""),
]


EDGE = {"gateway": "10.0.3.4", "gatewaySources": ["10.0.3.4/32"], "image": "agent"}
SPLITS: list[dict[str, Any]] = [
    {"by": "weight", "testerWord": "Canary-Fan"},
    {"by": "bucket", "only": {"values": ["VIP", "beta"]}, **EDGE},
    {"by": "tail"},
    {"by": "tail", "base": 16, "digits": 2, "only": {"values": ["VIP"]}},
    {"by": "cookie", "cookie": "uid"},
]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("less", "more"), [(0, 5), (5, 20), (20, 50), (50, 100)])
def test_what_the_program_writes_for_any_split_is_valid(split: dict[str, Any], less: int, more: int) -> None:
    described = Split.model_validate(split)
    old, new = (match(described, one, testers=split["by"] == "bucket").annotations() for one in (less, more))
    world = World([stable(), canary(0, written=old)])
    assert world.said(canary(0, written=new), rule="bucket-pattern-valid") == []


def test_tails_that_leave_somebody_out_are_refused() -> None:
    world = World([stable(), canary(0, written=annotations(0, "[0-4]$"))])
    messages = world.said(canary(0, written=annotations(0, "[1-7]$")), rule="bucket-pattern-valid")
    assert ["leaves out 10 endings" in message for message in messages] == [True]


@pytest.mark.parametrize(("old", "new", "words"), PATTERNS)
def test_a_pattern_takes_the_users_that_it_should(old: dict[str, str], new: dict[str, str], words: str) -> None:
    world = World([stable(), canary(0, written=old)])
    messages = world.said(canary(0, written=new), rule="bucket-pattern-valid")
    assert [words in message for message in messages] == ([True] if words else [])


def test_another_canary_may_take_other_users() -> None:
    world = World([stable(), canary(0, written=buckets(20))])
    fresh = canary(0, "chat-v3", annotations(0, bucket_pattern(range(50, 55))))
    assert world.said(fresh, rule="bucket-pattern-valid") == []


# --- what was wrong before --------------------------------------------------------------------------------------------


def test_a_fault_that_was_there_stops_no_update_and_a_new_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    old = pods(container(image="chat:latest"))
    monkeypatch.setattr(checkpoint, "states", lambda urn: [{"inputs": old}])
    assert refusals(PINNED, DEPLOYMENT, old, URN) == []
    assert len(refusals(PINNED, DEPLOYMENT, pods(container(image="chat:newer")), URN)) == 1


@pytest.mark.parametrize("inputs", [{"spec": {"template": "a secret"}}, {"spec": ["?"]}, {}])
def test_a_past_that_is_not_understood_excuses_nothing(monkeypatch: pytest.MonkeyPatch, inputs: object) -> None:
    monkeypatch.setattr(checkpoint, "states", lambda urn: [{"inputs": inputs}])
    assert len(refusals(PINNED, DEPLOYMENT, pods(container(image="chat:latest")), URN)) == 1


def test_a_past_that_can_not_be_read_excuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(urn: str) -> list[Any]:
        raise checkpoint.CheckpointError("away")

    monkeypatch.setattr(checkpoint, "states", away)
    assert len(refusals(PINNED, DEPLOYMENT, pods(container(image="chat:latest")), URN)) == 1
