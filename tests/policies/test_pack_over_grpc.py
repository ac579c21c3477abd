"""The pack as the engine meets it: in its own process, asked over gRPC. What each rule says stands in its own tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from tests.policies.pack import ROOT, Pack, checkpoint, fake_pulumi, ingress, running_pack, state


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def at_5(bin_: Path) -> Iterator[Pack]:
    """A pack whose checkpoint has the canary at 5."""
    fake_pulumi(bin_, checkpoint(state(ingress("5"))))
    with running_pack(bin_) as pack:
        yield pack


def test_every_rule_of_the_pack_is_mandatory_and_documented(at_5: Pack) -> None:
    documented = (ROOT / "docs" / "policies.md").read_text()
    rules = at_5.info().policies
    assert "weight-ladder" in [rule.name for rule in rules]
    for rule in rules:
        mandatory = rule.enforcementLevel == analyzer_pb2.EnforcementLevel.MANDATORY
        assert mandatory, f"{rule.name} must stop an update, not only advise"
        assert f"\n## {rule.name}\n" in documented
        assert rule.url == f"docs/policies.md#{rule.name}"
        assert rule.remediation_steps
        assert rule.severity


def test_a_jump_stops_the_update_and_the_next_rung_does_not(at_5: Pack) -> None:
    (message,) = at_5.refusals(ingress("80"))
    assert "from 5 to 80" in message
    assert at_5.analyze(ingress("20")) == []
    assert at_5.analyze(ingress("0")) == []


def test_a_value_that_is_not_known_yet_stops_the_preview(at_5: Pack) -> None:
    messages = at_5.refusals(ingress(UNKNOWN_STRING_VALUE))
    assert "rises one rung" in messages[0]
    assert all("not known in a preview" in message for message in messages)
    assert any("no secrets" in message for message in messages), "what may hold a secret can't be judged either"


def test_the_checkpoint_is_read_once_a_run_and_only_where_it_matters(at_5: Pack) -> None:
    at_5.refusals(ingress("0"))
    assert at_5.exports() == 0
    for weight in ("5", "20", "100"):
        at_5.refusals(ingress(weight))
    assert at_5.exports() == 1


def test_the_ladder_comes_from_the_packs_configuration(at_5: Pack) -> None:
    at_5.configure("weight-ladder", ladder=[5, 10, 100])
    assert at_5.refusals(ingress("10")) == []
    assert "Set the weight to 10" in at_5.refusals(ingress("20"))[0]


def test_an_unreadable_checkpoint_lets_only_zero_pass(bin_: Path) -> None:
    with running_pack(bin_) as pack:
        (message,) = pack.refusals(ingress("5"))
        assert "not on the PATH" in message
        assert pack.refusals(ingress("0")) == []


def test_it_works_where_the_host_names_stack_and_project_in_the_environment(bin_: Path) -> None:
    fake_pulumi(bin_, checkpoint(state(ingress("5"))))
    named = {"PULUMI_PROJECT": "serinus", "PULUMI_STACK": "test", "PULUMI_DRY_RUN": "true"}
    with running_pack(bin_, environ=named) as pack:
        assert "from 5 to 80" in pack.refusals(ingress("80"))[0]
