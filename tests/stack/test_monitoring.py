"""What a stack declares for Prometheus and its operator, and what people are told of wrong guards."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from serinus.rollout.agency_objects import Installation, installed
from serinus.rollout.alert_guards import DEFAULTS
from serinus.rollout.alert_receiver import Receiver, operator_spec, plain_config
from serinus.rollout.manifest import load_release
from stacks.settings import Settings, SettingsError, read_settings
from tests.stack.mocked_engine import PROJECT, ROOT, Run, engine_config, run_program

Program = Callable[..., Run]
GOOD: dict[str, object] = {"context": "here", "host": "chat.example.com", "stable": "v1", "canary": "v2", "weight": 5}


@pytest.fixture
def program(kubeconfig: Path) -> Program:
    """The program with good settings, changed by keyword."""
    return lambda **changes: run_program(GOOD | {"kubeconfig": str(kubeconfig)} | changes)


def settings(kubeconfig: Path, **changes: object) -> Settings:
    config = engine_config(ROOT, GOOD | {"kubeconfig": str(kubeconfig)} | changes)
    return read_settings(config, PROJECT, ROOT, {})


def rules(run: Run) -> dict[str, dict[str, object]]:
    """The declared rules by guard."""
    groups = run["PrometheusRule/chat"].inputs["spec"]["groups"]
    return {rule["labels"]["serinus_guard"]: rule for group in groups for rule in group["rules"]}


def test_rules_are_declared_only_where_they_are_asked_for(program: Program) -> None:
    without, run = program(), program(monitoring=True)
    assert set(run.resources) - set(without.resources) == {
        "AlertRules/chat-alerts",
        "PrometheusRule/chat",
        "PodMonitor/chat",
    }


def test_rules_name_the_series_of_this_stacks_releases(program: Program) -> None:
    canary = load_release(ROOT / "releases" / "v2.yaml")
    told = rules(program(monitoring=True, namespace="here"))
    assert "here-chat-stable-chat-v1-http-canary@kubernetesingressnginx" in str(told["errorRate"]["expr"])
    assert f'namespace="here",release="{canary.id}"' in str(told["brokenAnswers"]["expr"])
    assert "budget" not in told, "without prices there is no budget"


def test_across_a_swap_and_its_way_back_the_rules_judge_the_release_on_trial(program: Program) -> None:
    v1, v2 = (load_release(ROOT / "releases" / f"{name}.yaml").id for name in ("v1", "v2"))
    assert rules(program(monitoring=True, stable="v2", canary="", weight=0, previous="v1")) == {}
    back = rules(program(monitoring=True, weight=0, namespace="here"))
    assert "here-chat-stable-chat-v1-http-canary@kubernetesingressnginx" in str(back["errorRate"]["expr"])
    assert v2 in str(back["brokenAnswers"]["expr"])
    told = rules(program(monitoring=True, stable="v2", canary="v1", namespace="here"))
    assert "here-chat-stable-chat-v2-http-canary@kubernetesingressnginx" in str(told["errorRate"]["expr"])
    assert v1 in str(told["brokenAnswers"]["expr"])
    assert not any(v2 in str(rule["expr"]) for rule in told.values())


def test_the_labels_of_an_operators_selectors_are_put_on_every_object(program: Program) -> None:
    run = program(monitoring=True, monitoringLabels={"release": "prometheus"})
    for key in ("PrometheusRule/chat", "PodMonitor/chat"):
        labels = run[key].inputs["metadata"]["labels"]
        assert labels["release"] == "prometheus"
        assert labels["serinus.dev/service"] == "chat"


def test_the_pods_are_read_at_the_port_where_they_serve(program: Program) -> None:
    run = program(monitoring=True)
    spec = run["PodMonitor/chat"].inputs["spec"]
    pod = run["Deployment/chat-v2"].inputs["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert spec["podMetricsEndpoints"][0]["port"] == pod["spec"]["containers"][0]["ports"][0]["name"]


def test_without_a_canary_no_rule_is_left_and_no_object_goes(program: Program) -> None:
    assert rules(program(monitoring=True, canary="", weight=0)) == {}


def test_a_guards_setting_keeps_what_it_does_not_name(kubeconfig: Path) -> None:
    alerts = settings(kubeconfig, alerts={"errorRate": {"threshold": 0.02}, "gpuMemory": {"action": "off"}}).alerts
    assert (alerts.errorRate.threshold, alerts.errorRate.forSeconds, alerts.errorRate.action) == (0.02, 300, "rollback")
    assert "gpuMemory" not in alerts.on()
    assert alerts.slowP95.threshold == 1.0


@pytest.mark.parametrize(
    ("alerts", "told"),
    [
        ({"errorRates": {"threshold": 0.1}}, r"alerts.errorRates: unknown key .*allowed keys: errorRate, "),
        ({"errorRate": {"threshhold": 0.1}}, r"alerts.errorRate.threshhold: unknown key .*threshold, windowSeconds"),
        ({"errorRate": {"action": "panic"}}, r"alerts.errorRate.action: 'panic' is not allowed .*rollback, hold"),
        ({"errorRate": {"threshold": -1}}, r"alerts.errorRate.threshold: -1 is not allowed .*0 or more"),
        ({"errorRate": {"windowSeconds": 5}}, r"alerts.errorRate.windowSeconds: 5 is not allowed .*10 to 86400"),
        ({"errorRate": 0.1}, r"alerts.errorRate: 0.1 is not allowed .*a mapping with threshold"),
        ({"budget": {"action": "hold"}}, r"alerts.budget: a budget needs a threshold and a price"),
        ([], r"alerts: '\[\]' is not allowed \(it is no mapping\)"),
    ],
)
def test_a_wrong_guard_is_told_by_key_and_value(alerts: object, told: str, kubeconfig: Path) -> None:
    with pytest.raises(SettingsError, match=told):
        settings(kubeconfig, alerts=alerts)


def test_labels_are_a_mapping_of_texts(kubeconfig: Path) -> None:
    with pytest.raises(SettingsError, match=r"monitoringLabels.*is not allowed"):
        settings(kubeconfig, monitoringLabels={"release": ["prometheus"]})


def test_the_operators_receiver_and_the_plain_one_say_the_same() -> None:
    receiver = Receiver("chat", "serinus")
    plain = plain_config(receiver, "/etc/alertmanager/token")
    spec = operator_spec(receiver)
    assert plain["route"]["group_wait"] == spec["route"]["groupWait"] == "0s"
    (webhook,), (hook,) = plain["receivers"][0]["webhook_configs"], spec["receivers"][0]["webhookConfigs"]
    assert webhook["url"] == hook["url"] == "http://serinus-agent.serinus-system.svc:8080/v1/alerts"
    assert webhook["send_resolved"] is hook["sendResolved"] is True
    assert plain["receivers"][0]["name"] == plain["route"]["receiver"]
    assert hook["httpConfig"]["authorization"]["credentials"] == {"name": "chat-agent", "key": "token"}
    assert "token" not in json.dumps(plain).replace("/etc/alertmanager/token", ""), "no secret, only where it lies"


def test_every_guard_is_told_of_where_its_alert_points_to() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    for name in DEFAULTS:
        assert f"\n### {name}\n" in text, name
        assert f"\n| {name} | " in text, name


def test_alerts_go_to_the_agent_of_the_cluster_with_the_token_that_it_knows(program: Program) -> None:
    run = program(guard=True, agent=True, agentToken="a-token-for-this-test", monitoring=True)
    spec = run["AlertmanagerConfig/chat"].inputs["spec"]
    (webhook,) = spec["receivers"][0]["webhookConfigs"]
    (service,) = [one for one in installed(Installation("agent:1", [])) if one["kind"] == "Service"]
    (port,) = service["spec"]["ports"]
    place = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{port['port']}"
    assert webhook["url"] == f"http://{place}/v1/alerts"
    token = webhook["httpConfig"]["authorization"]["credentials"]
    secret = run[f"Secret/{token['name']}"].inputs["stringData"]
    assert token["key"] in secret["value"]  # encrypted in the state
    assert "a-token-for-this-test" not in json.dumps(spec)
    assert "AlertmanagerConfig/chat" not in program(monitoring=True).resources


def test_a_dashboard_is_declared_where_it_is_asked_for_and_a_step_changes_nothing_in_it(program: Program) -> None:
    before, after = program(dashboard=True, weight=5), program(dashboard=True, weight=20)
    assert set(before.resources) - set(program().resources) == {"Dashboard/chat-dashboard", "ConfigMap/chat-dashboard"}
    declared = before["ConfigMap/chat-dashboard"].inputs
    assert declared["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert declared == after["ConfigMap/chat-dashboard"].inputs
    assert json.loads(declared["data"]["serinus-chat.json"])["title"] == "Canary of serinus/chat"
