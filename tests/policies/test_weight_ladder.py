"""The ladder's rule, asked directly: what it allows, what it refuses, and what counts as the old weight."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UNKNOWN_STRING_VALUE

from policies.before import Sources
from policies.checkpoint import CheckpointError
from policies.rules.weight_ladder import LADDER, build
from tests.policies.direct import refusals
from tests.policies.pack import INGRESS, URN, ingress, state


def ask(
    props: Mapping[str, Any], *held: Mapping[str, Any], type_: str = INGRESS, ladder: list[float] | None = None
) -> list[str]:
    """What the rule says to `props` where the checkpoint holds these states."""

    config = {} if ladder is None else {"ladder": ladder}
    sources = Sources(checkpoint=lambda urn: list(held), live=lambda args: None)
    return refusals(build(sources), type_, props, URN, config)


AT_5 = state(ingress("5"))


def test_a_jump_is_refused_in_one_message_with_old_new_and_allowed() -> None:
    (message,) = ask(ingress("80"), AT_5)
    assert message.startswith("chat-canary: the weight may not rise from 5 to 80")
    assert message.endswith("Set the weight to 20, the next rung of [5, 20, 50, 100], or to anything up to 5.")


@pytest.mark.parametrize("weight", ["0", "1", "4", "5", "20", "020"])
def test_the_next_rung_and_every_decrease_are_allowed(weight: str) -> None:
    assert ask(ingress(weight), AT_5) == []


@given(old=st.integers(0, 100), new=st.integers(0, 100))
def test_a_rise_is_allowed_exactly_to_the_next_rung(old: int, new: int) -> None:
    rungs = [rung for rung in LADDER if rung > old]
    allowed = new <= old or new == rungs[0]
    assert (ask(ingress(str(new)), state(ingress(str(old)))) == []) == allowed


def test_without_an_annotation_the_weight_is_0() -> None:
    assert ask(ingress(None)) == []
    assert "from 0 to 20" in ask(ingress("20"), state(ingress(None)))[0]


@pytest.mark.parametrize(
    "weight", ["5%", "abc", "", "-1", "+5", "101", "5.5", " 5", "5\n", "1000000", "\u0665", 20, 20.0, True, ["20"]]
)
def test_a_weight_that_is_no_integer_from_0_to_100_is_refused(weight: object) -> None:
    (message,) = ask(ingress(weight), AT_5)
    assert "not an integer from 0 to 100" in message


def test_another_total_is_refused() -> None:
    assert "canary-weight-total" in ask(ingress("20", canary_weight_total="20"), AT_5)[0]
    assert ask(ingress("20", canary_weight_total="100"), AT_5) == []


@pytest.mark.parametrize(
    "props",
    [
        ingress(UNKNOWN_STRING_VALUE),
        ingress("5", canary=UNKNOWN_STRING_VALUE),
        ingress("5") | {"metadata": {"annotations": UNKNOWN_OBJECT_VALUE}},
        ingress("5") | {"metadata": UNKNOWN_OBJECT_VALUE},
        ingress("20") | {"spec": UNKNOWN_OBJECT_VALUE},
    ],
)
def test_a_value_that_is_not_known_yet_is_refused_not_waved_through(props: dict[str, Any]) -> None:
    (message,) = ask(props, AT_5)
    assert "not known in a preview" in message


def test_another_release_behind_the_ingress_starts_at_the_first_rung() -> None:
    held = state(ingress("50", backend="chat-v2"))
    assert "from 0 to 50" in ask(ingress("50", backend="chat-v3"), held)[0]
    assert ask(ingress("5", backend="chat-v3"), held) == []
    assert ask(ingress("100", backend="chat-v2"), held) == []


def test_a_canary_can_not_be_born_above_the_first_rung() -> None:
    assert "from 0 to 100" in ask(ingress("100"))[0]
    assert ask(ingress("5")) == []


@pytest.mark.parametrize("kind", ["Ingress", "IngressPatch"])
def test_an_ingress_is_judged_however_it_is_written(kind: str) -> None:
    assert ask(ingress("100"), AT_5, type_=f"kubernetes:networking.k8s.io/v1:{kind}")


@pytest.mark.parametrize("on", ["true", "True", "1", "t", "yes"])
def test_any_way_to_switch_the_canary_on_counts(on: str) -> None:
    assert ask(ingress("100", canary=on), AT_5)


@pytest.mark.parametrize("off", ["false", "False", "0", "f", ""])
def test_an_ingress_that_is_no_canary_is_left_alone(off: str) -> None:
    assert ask(ingress("100", canary=off), AT_5) == []
    assert "from 0 to 100" in ask(ingress("100"), state(ingress("50", canary=off)))[0]


@pytest.mark.parametrize("type_", ["kubernetes:apps/v1:Deployment", "serinus:components:TrafficSplit"])
def test_other_resources_are_left_alone(type_: str) -> None:
    assert ask(ingress("100"), AT_5, type_=type_) == []


def test_what_the_cluster_answered_counts_not_what_was_asked() -> None:
    # So it looks after an `up` to 20 that the cluster refused.
    assert "from 0 to 50" in ask(ingress("50"), state(ingress("20"), outputs=ingress("0")))[0]


def test_after_a_killed_update_the_lower_weight_counts() -> None:
    assert "from 5 to 100" in ask(ingress("100"), state(ingress("50")), AT_5)[0]


def test_a_state_without_an_answer_counts_as_0() -> None:
    assert "from 0 to 50" in ask(ingress("50"), {"urn": URN, "inputs": ingress("20")})[0]


@pytest.mark.parametrize("weight", ["1", "5", "100"])
def test_an_unreadable_checkpoint_lets_only_zero_pass(weight: str) -> None:
    def fail(urn: str) -> list[Mapping[str, Any]]:
        raise CheckpointError("the backend is away")

    unread = build(Sources(checkpoint=fail, live=lambda args: None))
    (message,) = refusals(unread, INGRESS, ingress(weight), URN)
    assert "the backend is away" in message
    assert "only 0 is allowed" in message
    assert refusals(unread, INGRESS, ingress("0"), URN) == []


def test_an_old_weight_that_is_no_weight_counts_as_0() -> None:
    encrypted = state(ingress({"ciphertext": "…"}))
    assert "from 0 to 20" in ask(ingress("20"), encrypted)[0]
    assert ask(ingress("5"), encrypted) == []


def test_the_ladder_is_configurable() -> None:
    # The engine hands numbers over as floats.
    assert ask(ingress("10"), AT_5, ladder=[5.0, 10.0, 100.0]) == []
    assert "Set the weight to 10" in ask(ingress("20"), AT_5, ladder=[5.0, 10.0, 100.0])[0]


def noted(weight: str, ladder: object) -> dict[str, Any]:
    """A canary Ingress with a ladder of its own."""
    made = ingress(weight)
    made["metadata"]["annotations"]["serinus.dev/ladder"] = ladder
    return made


def test_the_ladder_is_the_one_that_the_program_notes_on_the_ingress() -> None:
    assert ask(noted("10", "[5, 10, 100]"), AT_5) == []
    assert "Set the weight to 10" in ask(noted("20", "[5, 10, 100]"), AT_5)[0]


def test_the_packs_own_ladder_beats_the_one_on_the_ingress() -> None:
    assert "Set the weight to 10" in ask(noted("100", "[5, 100]"), AT_5, ladder=[5.0, 10.0, 100.0])[0]


@pytest.mark.parametrize("ladder", ["[]", "[5, 5, 100]", "[5, 20]", "5, 100", "{}", "", '["5", 100]', "[true, 100]", 7])
def test_a_noted_ladder_that_can_not_be_used_refuses_every_rise(ladder: object) -> None:
    (message,) = ask(noted("20", ladder), AT_5)
    assert "the annotation serinus.dev/ladder has a ladder that can't be used" in message
    assert ask(noted("0", ladder), AT_5) == []


@pytest.mark.parametrize("ladder", [[], [50, 20], [5, 20], [5.5, 100], [0, 100]])
def test_a_ladder_that_can_not_be_used_refuses_every_rise(ladder: list[float]) -> None:
    assert "has a ladder that can't be used" in ask(ingress("20"), AT_5, ladder=ladder)[0]
    assert ask(ingress("0"), AT_5, ladder=ladder) == []
