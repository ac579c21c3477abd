"""The dashboard as Grafana and Prometheus would read it."""

import json
import subprocess
from pathlib import Path

from local import debian
from serinus.rollout.alert_queries import gateway_label
from serinus.rollout.dashboard import dashboard, panels


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    queries = [
        query.replace("$__rate_interval", "1m") for panel in panels("chat", "serinus") for query, _ in panel.queries
    ]
    rules = [{"record": f"asked:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [debian.monitoring() / "usr/bin/promtool", "check", "rules", tmp_path / "rules.json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_arms_are_told_apart_as_the_gateway_names_them(tmp_path: Path) -> None:
    """In the real engine: one series of each kind, and which of them a graph counts."""
    place = ("serinus", "chat-stable", "chat-v1", "http")
    other = ("serinus", "chat2-stable", "chat2-v1", "http")
    labels = {
        gateway_label(*place): 1,
        gateway_label(*place, canary=True): 2,
        gateway_label(*place).replace("-http@", "-http-wrr@"): 4,
        gateway_label(*other): 8,
    }
    (requests,) = (panel for panel in panels("chat", "serinus") if panel.title == "Requests per second")
    wanted = {"canary": 2, "stable": 1}
    test = {
        "interval": "1s",
        "input_series": [
            {"series": f'traefik_service_requests_total{{service="{label}"}}', "values": f"0+{per_second}x60"}
            for label, per_second in labels.items()
        ],
        "promql_expr_test": [
            {
                "expr": query.replace("$__rate_interval", "30s"),
                "eval_time": "60s",
                "exp_samples": [{"labels": "{}", "value": wanted[name]}],
            }
            for query, name in requests.queries
        ],
    }
    (tmp_path / "tests.json").write_text(json.dumps({"tests": [test]}))
    done = subprocess.run(
        [debian.monitoring() / "usr/bin/promtool", "test", "rules", tmp_path / "tests.json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_panels_share_an_id_or_a_place_and_each_names_its_datasource() -> None:
    model = dashboard("chat", "serinus")
    drawn = model["panels"]
    assert len({panel["id"] for panel in drawn}) == len(drawn)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in drawn}) == len(drawn)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in drawn)
    assert all(target["datasource"]["uid"] == "${datasource}" for panel in drawn for target in panel["targets"])
    assert len(model["uid"]) <= 40
    assert json.loads(json.dumps(model)) == model


def test_two_services_have_two_dashboards() -> None:
    assert dashboard("chat", "one")["uid"] != dashboard("chat", "other")["uid"]
