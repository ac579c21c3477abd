"""`serinus alerts`: what it prints is taken by Prometheus and Alertmanager as it is."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from local import debian
from local.errors import LocalError
from local.places import ROOT
from serinus.cli.main import app
from serinus.rollout.alert_guards import DEFAULTS


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the stack `here`, and the shell in it."""
    shutil.copytree(ROOT / "releases", tmp_path / "releases")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    (tmp_path / "kubeconfig").write_text("contexts: [{name: here}]\n")
    config = {"kubeconfig": "kubeconfig", "context": "here", "host": "chat.example.com", "stable": "v1", "canary": "v2"}
    settings: dict[str, object] = {f"serinus:{key}": value for key, value in config.items()}
    settings |= {"serinus:weight": "5", "serinus:alerts": {"errorRate": {"threshold": 0.02}}}
    settings |= {"serinus:hashKey": {"secure": "v1:abc"}, "pulumi:disable-default-providers": ["kubernetes"]}
    (tmp_path / "Pulumi.here.yaml").write_text(yaml.safe_dump({"config": settings}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, ["alerts", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_rules_are_those_of_the_stacks_settings_and_prometheus_takes_them(project: Path) -> None:
    text = printed("rules", "--stack", "here")
    told = {
        rule["labels"]["serinus_guard"]: rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]
    }
    assert told.keys() == DEFAULTS.keys() - {"budget"}
    assert "> 0.02 and on ()" in told["errorRate"]["expr"]
    (project / "rules.yml").write_text(text)
    checked = [debian.monitoring() / "usr/bin/promtool", "check", "rules", "rules.yml"]
    subprocess.run(checked, check=True, capture_output=True, timeout=30)


def test_the_receiver_goes_into_alertmanagers_file(project: Path) -> None:
    printed_one = yaml.safe_load(printed("receiver", "--stack", "here", "--token-file", "/run/secrets/token"))
    whole = {
        "route": {"receiver": "people", **printed_one["route"]},
        "receivers": [{"name": "people"}, *printed_one["receivers"]],
    }
    (project / "alertmanager.yml").write_text(yaml.safe_dump(whole))
    checked = [debian.monitoring() / "usr/bin/amtool", "check-config", "alertmanager.yml"]
    subprocess.run(checked, check=True, capture_output=True, timeout=30)
    assert "/run/secrets/token" in str(whole)


def test_a_stack_without_a_file_and_wrong_settings_are_told(project: Path) -> None:
    with pytest.raises(LocalError, match=r"Pulumi\.there\.yaml can't be read"):
        printed("rules", "--stack", "there")
    (project / "Pulumi.here.yaml").write_text("config: {serinus:weight: 5, serinus:wieght: 6}\n")
    with pytest.raises(LocalError, match=r"serinus:wieght: unknown key; did you mean weight"):
        printed("rules", "--stack", "here")
