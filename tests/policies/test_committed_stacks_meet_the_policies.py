"""The committed stacks under the committed configurations of the pack: what we ship keeps its own rules."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.before import Sources
from policies.rules import RULES, rules
from tests.policies.direct import refusals
from tests.stack.mocked_engine import ROOT, Run, run_program

Config = dict[str, dict[str, Any]]


def configuration(stack: str) -> Config:
    """The pack's configuration for a stack: each rule's settings, without those that are turned off."""
    written = json.loads((ROOT / "policies" / f"{stack}.json").read_text())
    configs = {rule.name: written.get(rule.name, {}) for rule in RULES}
    return {name: config for name, config in configs.items() if config != "disabled"}


def run(stack: str, tmp_path: Path, **changes: object) -> Run:
    """Run the program with the committed settings of a stack."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    settings = {key.removeprefix("serinus:"): value for key, value in config.items() if key.startswith("serinus:")}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({"contexts": [{"name": settings["context"]}]}))
    return run_program(settings | {"kubeconfig": str(kubeconfig)} | changes)


def judged(done: Run, config: Config, held: Run | None = None) -> list[str]:
    """What the rules say to everything that the program registered; `held` is what the checkpoint holds."""
    known = [] if held is None else held.resources.values()
    states = [{"urn": one.urn, "type": one.type, "outputs": one.inputs} for one in known]
    asked = rules(Sources(checkpoint=lambda urn: states, live=lambda args: None))
    return [
        message
        for one in done.resources.values()
        for rule in asked
        if rule.name in config
        for message in refusals(rule, one.type, one.inputs, one.urn, config[rule.name])
    ]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_committed_stack_keeps_the_rules_of_its_configuration(stack: str, tmp_path: Path) -> None:
    assert judged(run(stack, tmp_path), configuration(stack)) == []


def test_the_rules_of_production_refuse_what_the_local_stack_can_not_meet(tmp_path: Path) -> None:
    messages = judged(run("dev", tmp_path), configuration("prod"))
    assert any("not pinned by a digest" in message for message in messages)
    assert any("nvidia.com/gpu" in message for message in messages)


def test_the_ladders_rule_reads_what_the_stack_writes(tmp_path: Path) -> None:
    config = configuration("dev")
    at_5 = run("dev", tmp_path, weight=5)
    (message,) = judged(run("dev", tmp_path, weight=100), config, held=at_5)
    assert "from 5 to 100" in message
    assert judged(run("dev", tmp_path, weight=20), config, held=at_5) == []
    assert judged(run("dev", tmp_path, weight=0, canary=""), config, held=at_5) == []


def test_a_new_rollout_starts_at_the_first_rung_again(tmp_path: Path) -> None:
    config = configuration("dev")
    parked = run("dev", tmp_path, stable="v2", canary="", weight=0)
    assert judged(run("dev", tmp_path, stable="v2", canary="echo-v1", weight=5), config, held=parked) == []
    assert judged(run("dev", tmp_path, stable="v2", canary="echo-v1", weight=20), config, held=parked)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_configuration_names_only_rules_and_settings_that_there_are(stack: str) -> None:
    written = json.loads((ROOT / "policies" / f"{stack}.json").read_text())
    known = {rule.name: rule for rule in RULES}
    for name, config in written.items():
        assert name in {*known, "all"}, name
        if isinstance(config, dict):
            schema = known[name].config_schema
            assert schema is not None
            assert config.keys() <= {"enforcementLevel", *schema.properties}, name
