"""What the operator's stand-in makes of declared objects. The checks are those of the real promtool and amtool."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from local import debian
from local.operator_stand_in.api import Api
from local.operator_stand_in.gathered import Checker, Gathered
from serinus.rollout.alert_receiver import Receiver, operator_spec

MONITORING = "/apis/monitoring.coreos.com"


class Declared(Api):
    """An API server with these answers and no other."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self._answers = answers

    def get(self, path: str) -> dict[str, Any]:
        found = self._answers.get(path.partition("?")[0])
        if found is None:
            raise HTTPError(path, 404, "not found", None, None)  # type: ignore[arg-type] # what urllib itself does
        return {"items": found} if isinstance(found, list) else dict(found)  # type: ignore[call-overload]


@pytest.fixture
def check(tmp_path: Path) -> Checker:
    return Checker(debian.monitoring(), tmp_path)


def named(name: str, namespace: str = "here", **parts: object) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": namespace}, **parts}


SECRET = "namespaces/here/secrets/chat-agent"  # noqa: S105 (a path)
SERVICE = "namespaces/serinus-system/services/serinus-agent"


def rule(name: str, expr: str, namespace: str = "here") -> dict[str, object]:
    groups = [{"name": "fast", "interval": "5s", "rules": [{"alert": "Told", "expr": expr}]}]
    return named(name, namespace, spec={"groups": groups})


def gathered(check: Checker, without: str = "", **given: object) -> Gathered:
    core = {
        f"/api/v1/{SECRET}": {"data": {"token": base64.b64encode(b"s3cret").decode()}},
        f"/api/v1/{SERVICE}": {"spec": {"clusterIP": "10.0.0.7"}},
    }
    lists = {
        f"{MONITORING}/v1/prometheusrules": given.get("rules", []),
        f"{MONITORING}/v1/podmonitors": given.get("monitors", []),
        f"{MONITORING}/v1alpha1/alertmanagerconfigs": given.get("configs", []),
        "/api/v1/namespaces/here/pods": given.get("pods", []),
    }
    core.pop(without, None)
    return Gathered(Declared({**core, **lists}), check)


def test_rules_of_two_namespaces_stand_beside_each_other(check: Checker) -> None:
    now = gathered(check, rules=[rule("chat", "up == 0", "one"), rule("chat", "up == 0", "other")])
    assert [group["name"] for group in now.rules["groups"]] == ["one/chat/fast", "other/chat/fast"]
    assert now.left_out == []


def test_a_broken_rule_takes_no_other_along(check: Checker) -> None:
    now = gathered(check, rules=[rule("bad", "up ==="), rule("good", "up == 0"), named("empty")])
    assert [group["name"] for group in now.rules["groups"]] == ["here/good/fast"]
    bad, empty = now.left_out
    assert "prometheusrules here/bad is left out" in bad
    assert "prometheusrules here/empty is left out" in empty


def test_an_alert_goes_to_the_address_of_the_service_with_the_token_of_the_secret(check: Checker) -> None:
    config = named("chat", spec=operator_spec(Receiver("chat", "here")))
    now = gathered(check, configs=[config])
    assert now.left_out == []
    (route,) = now.config["route"]["routes"]
    assert set(route["matchers"]) == {'serinus_service="chat"', 'namespace="here"'}
    assert (route["group_wait"], route["group_by"], route["continue"]) == ("0s", ["..."], True)
    (receiver,) = (one for one in now.config["receivers"] if one["name"] == route["receiver"])
    (hook,) = receiver["webhook_configs"]
    assert hook["url"] == "http://10.0.0.7:8080/v1/alerts"
    assert hook["http_config"]["authorization"] == {"type": "Bearer", "credentials": "s3cret"}
    assert hook["send_resolved"] is True


@pytest.mark.parametrize("gone", [SECRET, SERVICE])
def test_a_receiver_that_lacks_something_is_left_out_and_told(gone: str, check: Checker) -> None:
    config = named("chat", spec=operator_spec(Receiver("chat", "here")))
    now = gathered(check, f"/api/v1/{gone}", configs=[config])
    assert now.config == {"route": {"receiver": "nobody", "routes": []}, "receivers": [{"name": "nobody"}]}
    (said,) = now.left_out
    _, namespace, plural, name = gone.split("/")
    assert f"{plural} {namespace}/{name}" in said
    assert "s3cret" not in said


def test_pods_are_read_once_they_have_an_address_and_until_they_end(check: Checker) -> None:
    container = {
        "name": "service",
        "ports": [{"name": "http", "containerPort": 3000}, {"name": "x", "containerPort": 1}],
    }

    def pod(name: str, **status: str) -> dict[str, object]:
        return {"metadata": {"name": name}, "spec": {"containers": [container]}, "status": status}

    monitor = named("chat", spec={"selector": {"matchLabels": {"a": "b"}}, "podMetricsEndpoints": [{"port": "http"}]})
    pods = [pod("new"), pod("old", podIP="10.0.0.1", phase="Failed"), pod("runs", podIP="10.0.0.2", phase="Running")]
    assert gathered(check, monitors=[monitor], pods=pods).targets == [
        {
            "targets": ["10.0.0.2:3000"],
            "labels": {"job": "here/chat", "namespace": "here", "pod": "runs", "container": "service"},
        }
    ]


def test_a_check_is_not_repeated_and_leaves_no_file_with_tokens(check: Checker, tmp_path: Path) -> None:
    content = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up"}]}]}
    assert check("rules", content) == check("rules", json.loads(json.dumps(content))) == ""
    assert list(tmp_path.iterdir()) == []
