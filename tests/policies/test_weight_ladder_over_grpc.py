"""The rule as the engine meets it: the real pack in its own process, asked over gRPC."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UNKNOWN_STRING_VALUE

from tests.policies.pack import URN, Pack, checkpoint, ingress, running_pack, state


class Start(Protocol):
    def __call__(
        self, held: Mapping[str, Any] | None, error: str | None = None, environ: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Pack]: ...


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(
        held: Mapping[str, Any] | None, error: str | None = None, environ: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Pack]:
        return running_pack(tmp_path / "bin", held, error, environ)

    return start


@pytest.fixture(scope="module")
def at_5(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    """A pack whose checkpoint has the canary at 5."""
    with running_pack(tmp_path_factory.mktemp("pack") / "bin", checkpoint(state(ingress("5")))) as pack:
        yield pack


def test_a_jump_is_refused_with_old_new_and_allowed(at_5: Pack) -> None:
    message = at_5.refusals(ingress("80"))[0]
    assert "from 5 to 80" in message
    assert "Set the weight to 20" in message
    assert "[5, 20, 50, 100]" in message
    assert "chat-canary" in message


@pytest.mark.parametrize("weight", ["0", "1", "4", "5", "20"])
def test_the_next_rung_and_every_decrease_are_allowed(at_5: Pack, weight: str) -> None:
    assert at_5.analyze(ingress(weight)) == []


@pytest.mark.parametrize(
    "weight", ["5%", "abc", "", "-1", "101", "5.5", " 5", "1000000", "\u0665", 20, 20.0, True, ["20"], {"a": "20"}]
)
def test_a_weight_that_is_no_integer_from_0_to_100_is_refused(at_5: Pack, weight: object) -> None:
    (message,) = at_5.refusals(ingress(weight))
    assert "not an integer from 0 to 100" in message


def test_another_total_is_refused(at_5: Pack) -> None:
    (message,) = at_5.refusals(ingress("20", canary_weight_total="20"))
    assert "canary-weight-total" in message
    assert at_5.refusals(ingress("20", canary_weight_total="100")) == []


@pytest.mark.parametrize(
    "props",
    [
        ingress(UNKNOWN_STRING_VALUE),
        ingress("5") | {"metadata": {"annotations": UNKNOWN_OBJECT_VALUE}},
        ingress("5") | {"metadata": UNKNOWN_OBJECT_VALUE},
        ingress("20") | {"spec": UNKNOWN_OBJECT_VALUE},
    ],
)
def test_a_value_that_is_not_known_yet_is_refused_not_waved_through(at_5: Pack, props: dict[str, Any]) -> None:
    (message,) = at_5.refusals(props)
    assert "not known in a preview" in message


def test_another_release_behind_the_ingress_starts_at_the_first_rung(start: Start) -> None:
    with start(checkpoint(state(ingress("50", backend="chat-v2")))) as pack:
        (message,) = pack.refusals(ingress("50", backend="chat-v3"))
        assert "from 0 to 50" in message
        assert pack.refusals(ingress("5", backend="chat-v3")) == []
        assert pack.refusals(ingress("100", backend="chat-v2")) == []


def test_a_canary_can_not_be_born_above_the_first_rung(start: Start) -> None:
    with start(checkpoint()) as pack:
        (message,) = pack.refusals(ingress("100"))
        assert "from 0 to 100" in message
        assert pack.refusals(ingress("5")) == []


def test_a_patch_of_an_ingress_is_judged_like_an_ingress(at_5: Pack) -> None:
    assert at_5.refusals(ingress("100"), type_="kubernetes:networking.k8s.io/v1:IngressPatch")


def test_other_resources_are_left_alone(at_5: Pack) -> None:
    assert at_5.analyze(ingress("100"), type_="kubernetes:apps/v1:Deployment") == []
    off = ingress("100")
    off["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary"] = "false"
    assert at_5.analyze(off) == []
    assert at_5.analyze({"metadata": {"name": "chat-stable"}, "spec": {}}) == []


def test_what_the_cluster_answered_counts_not_what_was_asked(start: Start) -> None:
    # So it looks after an `up` to 20 that the cluster refused.
    with start(checkpoint(state(ingress("20"), outputs=ingress("0")))) as pack:
        (message,) = pack.refusals(ingress("50"))
        assert "from 0 to 50" in message


def test_after_a_killed_update_the_lower_weight_counts(start: Start) -> None:
    with start(checkpoint(state(ingress("50")), pending=state(ingress("5")))) as pack:
        (message,) = pack.refusals(ingress("100"))
        assert "from 5 to 100" in message


def test_a_state_that_waits_for_its_deletion_does_not_count(start: Start) -> None:
    with start(checkpoint(state(ingress("5")), state(ingress("50"), delete=True))) as pack:
        assert "from 5 to 100" in pack.refusals(ingress("100"))[0]


def test_another_stacks_ingress_of_the_same_name_does_not_count(start: Start) -> None:
    with start(checkpoint(state(ingress("50"), urn=URN.replace("chat-canary", "other-canary")))) as pack:
        assert "from 0 to 100" in pack.refusals(ingress("100"))[0]


@pytest.mark.parametrize(
    ("held", "error", "reason"),
    [
        (None, "no stack named 'test' found", "no stack named"),
        (None, None, "not on the PATH"),
        ({"version": 4, "deployment": {}}, None, "its version is 4"),
        ({"deployment": {}}, None, "KeyError"),
        ([], None, "no checkpoint that is understood"),
        (checkpoint(state(ingress({"ciphertext": "…"}))), None, "not an integer"),
    ],
)
def test_an_unreadable_checkpoint_lets_only_zero_pass(start: Start, held: Any, error: str | None, reason: str) -> None:
    with start(held, error) as pack:
        (message,) = pack.refusals(ingress("5"))
        assert reason in message
        assert "only 0 is allowed" in message
        assert pack.refusals(ingress("0")) == []


def test_the_checkpoint_is_read_once_a_run_and_only_where_it_matters(start: Start) -> None:
    with start(checkpoint(state(ingress("5")))) as pack:
        pack.refusals(ingress("0"))
        assert pack.exports() == 0
        for weight in ("5", "20", "100"):
            pack.refusals(ingress(weight))
        assert pack.exports() == 1


def test_a_failed_read_is_not_tried_again_for_every_resource(start: Start) -> None:
    with start(None, "the backend is away") as pack:
        pack.refusals(ingress("5"))
        pack.refusals(ingress("20"))
        assert pack.exports() == 1


def test_the_ladder_is_configurable(start: Start) -> None:
    with start(checkpoint(state(ingress("5")))) as pack:
        pack.configure("weight-ladder", ladder=[5, 10, 100])
        assert pack.refusals(ingress("10")) == []
        assert "Set the weight to 10" in pack.refusals(ingress("20"))[0]


@pytest.mark.parametrize("ladder", [[], [50, 20], [5, 20], [5.5, 100], [0, 100]])
def test_a_ladder_that_can_not_be_used_refuses_every_rise(start: Start, ladder: list[float]) -> None:
    with start(checkpoint(state(ingress("5")))) as pack:
        pack.configure("weight-ladder", ladder=ladder)
        assert "has a ladder that can't be used" in pack.refusals(ingress("20"))[0]
        assert pack.refusals(ingress("0")) == []


def test_it_works_where_the_host_names_stack_and_project_in_the_environment(start: Start) -> None:
    named = {"PULUMI_PROJECT": "serinus", "PULUMI_STACK": "test", "PULUMI_DRY_RUN": "true"}
    with start(checkpoint(state(ingress("5"))), environ=named) as pack:
        assert "from 5 to 80" in pack.refusals(ingress("80"))[0]


def test_every_rule_of_the_pack_is_mandatory_and_documented(at_5: Pack) -> None:
    info = at_5.info()
    documented = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    assert [policy.name for policy in info.policies]
    for policy in info.policies:
        assert policy.enforcementLevel == analyzer_pb2.EnforcementLevel.MANDATORY, (
            f"{policy.name} must stop an update, not only advise"
        )
        assert f"\n## {policy.name}\n" in documented
        assert policy.url == f"docs/policies.md#{policy.name}"
        assert policy.remediation_steps
