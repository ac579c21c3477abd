"""What people are told when a setting is wrong: the key, the value, what is allowed; every mistake in one go."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from serinus.rollout.profile import PROFILES, named
from stacks.settings import Settings, SettingsError, read_settings
from tests.stack.mocked_engine import PROJECT, ROOT, engine_config

Read = Callable[..., Settings]

GOOD: dict[str, object] = {
    "context": "here",
    "host": "chat.example.com",
    "stable": "v1",
    "canary": "v2",
    "weight": 5,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project directory of its own, with the repository's releases and a kubeconfig."""
    root = tmp_path / "project"
    root.mkdir()
    shutil.copytree(ROOT / "releases", root / "releases")
    shutil.copy(ROOT / "Pulumi.yaml", root)
    (root / "kubeconfig").write_text("contexts: [{name: here}, {name: there}]\n")
    return root


@pytest.fixture
def read(project: Path) -> Read:
    """Reads good settings, changed by keyword."""

    def read(environ: dict[str, str] | None = None, **changes: object) -> Settings:
        config = engine_config(project, GOOD | {"kubeconfig": "kubeconfig"} | changes)
        return read_settings(config, PROJECT, project, environ or {})

    return read


def test_good_settings_are_read(read: Read) -> None:
    settings = read(retain=["echo-v1", "v1"], nodeMounts=[{"hostPath": "/srv", "mountPath": "/models"}])
    assert (settings.weight, settings.gpu, settings.service) == (5, 0, "chat")
    assert [release.name for release in settings.releases] == ["v1", "v2", "echo-v1"]
    assert settings.nodeMounts[0].mountPath == "/models"


def test_an_empty_canary_is_none(read: Read) -> None:
    assert read(canary="", weight=0).canary is None


def test_the_default_ladder_has_bakes_and_asks_for_an_approval_before_the_top(read: Read) -> None:
    assert [(rung.weight, rung.bake_seconds, rung.approval) for rung in read().ladder] == [
        (5, 600, False),
        (20, 1800, False),
        (50, 3600, False),
        (100, 0, True),
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_ladder_may_be_named(read: Read, profile: str) -> None:
    assert [rung.model_dump(by_alias=True) for rung in read(ladder=profile).ladder] == named(profile)


def test_a_guard_is_asked_for_and_may_have_a_way_past_it(read: Read) -> None:
    assert (read().guard, read().breakGlass) == (False, "")
    settings = read(guard=True, breakGlass="ops:on-call")
    assert (settings.guard, settings.breakGlass) == (True, "ops:on-call")


def test_an_agent_needs_the_guard_and_a_token(read: Read) -> None:
    assert read().agent is None
    assert read(agent="false").agent is None
    settings = read(guard=True, agent="true", agentToken="sixteen letters or more")
    assert settings.agent is not None
    assert (settings.agent.prometheus, settings.agent.blindHoldSeconds) == (None, 120)
    for key, changes in (("agentToken", {"guard": True}), ("guard", {"agentToken": "sixteen letters or more"})):
        with pytest.raises(SettingsError, match=f"serinus:{key}: "):
            read(agent="true", **changes)
    with pytest.raises(SettingsError, match=r"serinus:agent\.prometheus"):
        read(guard=True, agent={"prometheus": "9090"}, agentToken="sixteen letters or more")
    with pytest.raises(SettingsError, match=r"serinus:agent"):
        read(guard=True, agent="yes", agentToken="sixteen letters or more")


def test_an_override_says_who_why_and_until_when(read: Read) -> None:
    assert read().override is None
    override = read(override=OVERRIDE).override
    assert override is not None
    assert (override.by, override.reason) == ("ada", "a fix that can't wait")


def test_an_override_past_its_date_is_no_mistake_of_the_settings(read: Read) -> None:
    # Nobody is awake when it ends, and a rollback goes through the same settings.
    assert read(override={**OVERRIDE, "until": "2020-01-01T00:00:00Z"}, weight=0).weight == 0


def test_the_release_before_keeps_running(read: Read) -> None:
    settings = read(stable="v2", canary="", weight=0, previous="v1")
    assert [release.name for release in settings.releases] == ["v2", "v1"]


def test_going_back_needs_one_change(read: Read) -> None:
    """Whoever only writes the old name into `stable` again must not be stopped by what else stands there."""
    assert [release.name for release in read(stable="v1", canary="", weight=0, previous="v1").releases] == ["v1"]


@pytest.mark.parametrize("weight", [0, 1, 99, 100])
def test_every_percentage_is_a_weight(read: Read, weight: int) -> None:
    assert read(weight=weight).weight == weight


OVERRIDE = {"by": "ada", "reason": "a fix that can't wait", "until": "2026-11-22T12:00:00Z"}
RELEASES = f"there are: {', '.join(sorted(path.stem for path in (ROOT / 'releases').glob('*.yaml')))}"
TABLE: list[tuple[dict[str, object], str, str]] = [
    ({"weight": 101}, "serinus:weight: 101", "an integer from 0 to 100"),
    ({"weight": -1}, "serinus:weight: -1", "an integer from 0 to 100"),
    ({"weight": "5%"}, "serinus:weight: '5%'", "an integer from 0 to 100"),
    ({"weight": "5.5"}, "serinus:weight: '5.5'", "an integer from 0 to 100"),
    ({"weight": "5.0"}, "serinus:weight: '5.0'", "an integer from 0 to 100"),
    ({"weight": "1_0"}, "serinus:weight: '1_0'", "an integer from 0 to 100"),
    ({"weight": " 5"}, "serinus:weight: ' 5'", "an integer from 0 to 100"),
    ({"weight": "abc"}, "serinus:weight: 'abc'", "an integer from 0 to 100"),
    ({"weight": ""}, "serinus:weight: ''", "an integer from 0 to 100"),
    ({"weight": "9" * 5000}, "serinus:weight: '999", "an integer from 0 to 100"),
    ({"weight": [5]}, "serinus:weight: '[5]'", "an integer from 0 to 100"),
    ({"weight": 5, "canary": ""}, "serinus:weight: '5'", "only 0 where there is no canary"),
    ({"canary": "v1"}, "serinus:canary: 'v1'", "the name of another release"),
    ({"stable": "v9"}, "serinus:stable: 'v9'", RELEASES),
    ({"stable": ""}, "serinus:stable: ''", RELEASES),
    ({"stable": "../releases/v1"}, "serinus:stable: '../releases/v1'", RELEASES),
    ({"retain": ["v9"]}, "serinus:retain.0: 'v9'", RELEASES),
    ({"retain": "v1"}, "serinus:retain: 'v1'", "a list of names of releases"),
    ({"retain": '{"v1": 1}'}, "serinus:retain: '{\"v1\": 1}'", "a list of names of releases"),
    ({"guard": "yes"}, "serinus:guard: 'yes'", "true or false"),
    ({"breakGlass": "system:masters"}, "serinus:breakGlass: 'system:masters'", "a group of your own"),
    ({"ladder": []}, "serinus:ladder: ", "1 to 20 rungs, this one has 0"),
    ({"ladder": [{"weight": 20}, {"weight": 5}, {"weight": 100}]}, "serinus:ladder: ", "do not: [20, 5, 100]"),
    ({"ladder": [{"weight": 5}, {"weight": 101}]}, "serinus:ladder.1.weight: 101", "an integer from 1 to 100"),
    ({"ladder": [{"weight": 5}]}, "serinus:ladder: ", "this one ends at 5"),
    ({"ladder": [{"weight": 100, "bake": 5}]}, "serinus:ladder.0.bake: unknown key", "bakeSeconds"),
    ({"ladder": [5, {"weight": 100}]}, "serinus:ladder.0: 5", "rise strictly to 100"),
    ({"previous": "v9"}, "serinus:previous: 'v9'", RELEASES),
    ({"override": "yes"}, "serinus:override: 'yes'", "a mapping such as"),
    ({"override": {**OVERRIDE, "reason": " "}}, "serinus:override.reason: ' '", "why"),
    ({"override": {"by": "ada", "until": OVERRIDE["until"]}}, "serinus:override.reason: missing", "why"),
    ({"override": {**OVERRIDE, "by": ""}}, "serinus:override.by: ''", "who overrides"),
    ({"override": {**OVERRIDE, "until": "2026-11-22T12:00:00"}}, "serinus:override.until: ", "with its zone"),
    ({"override": {**OVERRIDE, "rules": "all"}}, "serinus:override.rules: unknown key", "by, reason, until"),
    ({"capacity": {"room": 8}}, "serinus:capacity.pods: missing", "an integer from 1 to 1000"),
    ({"capacity": {"pods": 0}}, "serinus:capacity.pods: 0", "an integer from 1 to 1000"),
    ({"capacity": {"pods": 8, "room": 15}}, "serinus:capacity: ", "16 in all, and there is room for 15"),
    ({"capacity": {"pods": 8, "autoscale": {"most": 7}}}, "serinus:capacity: ", "Set autoscale.most to 8 or more"),
    ({"capacity": {"pods": 8, "autoscale": {"cpuPercent": 70}}}, "serinus:capacity.autoscale.most: missing", "1000"),
    ({"expected": {"usual": 0.1}}, "serinus:expected.requestsPerSecond: missing", "a number from 0.001"),
    ({"budget": {"outputPerMillion": 1}}, "serinus:budget.perDay: missing", "in a day of UTC, 0.01 or more"),
    ({"budget": {"perDay": 5}}, "serinus:budget", "a budget needs a price above 0"),
    (
        {"budget": {"perDay": 5, "inputPerMillion": 1, "action": "pray"}},
        "serinus:budget.action: 'pray'",
        "rollback, hold or notify",
    ),
    ({"expected": {"requestsPerSecond": 0}}, "serinus:expected.requestsPerSecond: 0", "a number from 0.001"),
    ({"expected": {"requestsPerSecond": "20"}}, "serinus:expected.requestsPerSecond: '20'", "a number from 0.001"),
    ({"expected": {"requestsPerSecond": 2, "usual": 1.5}}, "serinus:expected.usual: 1.5", "a number from 0 to 1"),
    ({"ladder": "slow"}, "serinus:ladder: 'slow'", "one of default, cautious, tens, fast"),
    ({"warmSeconds": -1}, "serinus:warmSeconds: -1", "seconds, 0 or more"),
    ({"gpu": "one"}, "serinus:gpu: 'one'", "an integer from 0 to 64"),
    ({"service": "Chat"}, "serinus:service: 'Chat'", "a DNS label of at most 22 characters"),
    ({"service": "c" * 23}, f"serinus:service: '{'c' * 23}'", "a DNS label of at most 22 characters"),
    ({"namespace": "a.b"}, "serinus:namespace: 'a.b'", "a DNS label"),
    ({"host": "http://chat"}, "serinus:host: 'http://chat'", "a host name in lower case"),
    ({"host": ""}, "serinus:host: ''", "a host name in lower case"),
    ({"ingressClass": ""}, "serinus:ingressClass: ''", "the name of an IngressClass"),
    ({"context": "nowhere"}, "serinus:context: 'nowhere'", "it has: here, there"),
    ({"context": ""}, "serinus:context: ''", "it has: here, there"),
    ({"kubeconfig": "missing"}, "serinus:kubeconfig: 'missing'", "No such file"),
    ({"kubeconfig": "releases"}, "serinus:kubeconfig: 'releases'", "Is a directory"),
    ({"kubeconfig": "Pulumi.yaml"}, "serinus:kubeconfig: 'Pulumi.yaml'", "is no kubeconfig"),
    ({"nodeMounts": [{"hostPath": "srv", "mountPath": "/m"}]}, "serinus:nodeMounts.0.hostPath: 'srv'", "hostPath"),
    ({"nodeMounts": [{"hostPath": "/srv"}]}, "serinus:nodeMounts.0.mountPath: missing", "mountPath"),
    ({"nodeMounts": [{"hostPath": "/a", "mountPath": "/m", "x": 1}]}, "serinus:nodeMounts.0.x: unknown key", ""),
    ({"wieght": 5}, "serinus:wieght: unknown key", "did you mean weight?"),
    ({"zzz": "a secret"}, "serinus:zzz: unknown key", "Allowed keys: service, namespace, kubeconfig"),
]


@pytest.mark.parametrize(("changes", "key_and_value", "allowed"), TABLE)
def test_a_wrong_setting_is_refused_by_name(
    read: Read, changes: dict[str, object], key_and_value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(**changes)
    _, *mistakes, remedy = str(refused.value).splitlines()
    (mistake,) = mistakes
    assert mistake.strip().startswith(key_and_value)
    assert allowed in mistake
    assert "pulumi config set serinus:" in remedy
    assert "a secret" not in mistake, "an unknown key may hold anything; its value is not repeated"


def test_all_mistakes_are_reported_together(read: Read) -> None:
    with pytest.raises(SettingsError) as refused:
        read(weight="5%", stable="v9", context="nowhere", gpu="-1", wieght=5)
    for key in ("weight", "stable", "context", "gpu", "wieght"):
        assert f"serinus:{key}: " in str(refused.value)


def test_keys_of_others_are_left_alone(project: Path, read: Read) -> None:
    config = engine_config(project, GOOD | {"kubeconfig": "kubeconfig"})
    config |= {"pulumi:disable-default-providers": '["kubernetes"]', "kubernetes:context": "elsewhere"}
    assert read_settings(config, PROJECT, project, {}) == read()


def test_a_broken_release_file_is_named_with_its_key_and_its_value(project: Path, read: Read) -> None:
    file = project / "releases" / "v2.yaml"
    file.write_text(file.read_text().replace("max_tokens: 16", "max_tokens: many\n  colour: red"))
    with pytest.raises(SettingsError) as refused:
        read()
    text = str(refused.value)
    assert "serinus:canary: 'v2'" in text
    assert "releases/v2.yaml: sampling.max_tokens: 'many'" in text
    assert "releases/v2.yaml: sampling.colour: unknown key" in text
    assert str(project) not in text, "files are named as people see them, from the project's directory"


def test_a_release_file_and_its_release_share_one_name(project: Path, read: Read) -> None:
    shutil.copy(project / "releases" / "v2.yaml", project / "releases" / "v3.yaml")
    with pytest.raises(SettingsError, match=r"releases/v3.yaml says name: v2"):
        read(canary="v3")


def test_without_a_kubeconfig_the_environments_is_read(project: Path, read: Read) -> None:
    other = project / "other"
    other.write_text("contexts: [{name: far}]\n")
    environ = {"KUBECONFIG": f"{project / 'kubeconfig'}:{other}:{project / 'missing'}"}
    assert read(environ=environ, kubeconfig="", context="far").context == "far"
    with pytest.raises(SettingsError, match="it has: far, here, there"):
        read(environ=environ, kubeconfig="", context="nowhere")


def test_pulumi_yaml_declares_every_setting_with_a_description_and_a_default_and_none_else() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert declared.keys() == Settings.model_fields.keys()
    for key, entry in declared.items():
        # Without a default the engine itself asks for the key; with a type it refuses a value. It explains neither.
        assert entry.keys() == {"description", "default"}, key


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_committed_stacks_have_good_settings(project: Path, stack: str) -> None:
    written = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    own = {key.removeprefix("serinus:"): value for key, value in written.items() if key.startswith("serinus:")}
    kubeconfig = project / "kubeconfig"
    kubeconfig.write_text(json.dumps({"contexts": [{"name": own["context"]}]}))
    settings = read_settings(engine_config(ROOT, own | {"kubeconfig": str(kubeconfig)}), PROJECT, ROOT, {})
    assert settings.releases


def test_a_secret_that_is_refused_is_not_repeated(read: Read) -> None:
    with pytest.raises(SettingsError, match="at least 16 characters") as refused:
        read(hashKey="too-short-secret"[:9])
    assert "too-short" not in str(refused.value)
    assert "too-short-secret-of-mine" not in repr(read(hashKey="too-short-secret-of-mine"))
