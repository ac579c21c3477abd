"""`serinus backtest` over a real Prometheus that remembers an hour with one bad time in it."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from local import debian
from local.errors import LocalError
from local.places import ROOT
from serinus.cli.main import app
from serinus.rollout.alert_queries import gateway_label

BEGIN = 1_790_000_000 // 3600 * 3600
STEP = 5
BAD = (BEGIN + 2400, BEGIN + 3000)
LABEL = gateway_label("serinus", "chat-stable", "chat-v1", "http", canary=True)

pytestmark = pytest.mark.timeout(150)  # a Prometheus starts in it


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def history() -> str:
    """An hour in OpenMetrics: two requests a second, of which every second one fails in the bad time."""
    lines = ["# TYPE traefik_service_requests counter"]
    good = bad = 0
    samples: dict[str, list[str]] = {"200": [], "500": []}
    for now in range(BEGIN, BEGIN + 3600, STEP):
        failing = 5 if BAD[0] <= now < BAD[1] else 0
        bad, good = bad + failing, good + 10 - failing
        for code, total in (("200", good), ("500", bad)):
            samples[code].append(f'traefik_service_requests_total{{service="{LABEL}",code="{code}"}} {total} {now}')
    return "\n".join([*lines, *samples["200"], *samples["500"], "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL. On loopback, gone after the module."""
    folder, programs = tmp_path_factory.mktemp("prometheus"), debian.monitoring() / "usr/bin"
    (folder / "history").write_text(history())
    (folder / "config.json").write_text("{}")
    made = [programs / "promtool", "tsdb", "create-blocks-from", "openmetrics", "history", "data"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True, timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ["--config.file=config.json", f"--web.listen-address={address}", "--storage.tsdb.path=data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "prometheus", *flags, "--storage.tsdb.retention.time=100y"], cwd=folder, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while not ready(f"http://{address}/-/ready"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the stack `here`, and the shell in it."""
    (tmp_path / "releases").symlink_to(ROOT / "releases")
    (tmp_path / "Pulumi.yaml").symlink_to(ROOT / "Pulumi.yaml")
    (tmp_path / "kubeconfig").write_text("contexts: [{name: here}]\n")
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


def write(project: Path, **alerts: object) -> None:
    config = {"kubeconfig": "kubeconfig", "context": "here", "host": "chat.example.com", "stable": "v1", "canary": "v2"}
    settings = {f"serinus:{key}": value for key, value in {**config, "weight": "5", "alerts": alerts}.items()}
    (project / "Pulumi.here.yaml").write_text(yaml.safe_dump({"config": settings}))


def outcomes(*words: str) -> dict[str, dict[str, list[float]]]:
    span = ("--stack", "here", "--start", moment(BEGIN + 600), "--end", moment(BEGIN + 3500), "--json")
    result = CliRunner().invoke(app, ["backtest", *span, *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return {one["guard"]: one for one in json.loads(result.stdout)}


def test_a_bad_time_is_found_with_its_delay_and_good_times_raise_no_alarm(prometheus: str, project: Path) -> None:
    bad = f"{moment(BAD[0])}/{moment(BAD[1])}"
    found = outcomes("--prometheus", prometheus, "--bad", bad, "--save", "answers.json")
    fast, slow = found["errorRateFast"], found["errorRate"]
    assert (len(fast["fired"]), fast["false_alarms"], fast["missed"]) == (1, [], 0)
    assert 0 < fast["delays"][0] <= 30
    assert 300 <= slow["delays"][0] <= 360, "it waits five minutes"
    assert found["emptyAnswers"]["fired"] == []
    assert found["telemetryLost"]["fired"] != [], "this history knows no pods"

    # Other limits over the same answers, without a Prometheus.
    write(project, errorRateFast={"threshold": 0.6})
    replayed = outcomes("--replay", "answers.json", "--bad", bad)
    assert (replayed["errorRateFast"]["fired"], replayed["errorRateFast"]["missed"]) == ([], 1)
    assert replayed["errorRate"] == slow
    # Without a word of what was bad every alarm is a false one.
    assert len(outcomes("--replay", "answers.json")["errorRate"]["false_alarms"]) == 1

    write(project, errorRateFast={"windowSeconds": 20})
    with pytest.raises(LocalError, match="the file has no answer to"):
        outcomes("--replay", "answers.json")


def test_what_can_not_be_asked_is_told(project: Path) -> None:
    (project / "broken.json").write_text("[]")
    with pytest.raises(LocalError, match="holds no answers"):
        outcomes("--replay", "broken.json")
    with pytest.raises(LocalError, match="gives no answer"):
        outcomes("--prometheus", "http://127.0.0.1:1")
    for wrong in (["--prometheus", "ftp://x"], [], ["--replay", "broken.json", "--bad", "yesterday"]):
        words = ["backtest", "--stack", "here", "--start", moment(0), "--end", moment(60), *wrong]
        assert CliRunner().invoke(app, words).exit_code == 2, wrong
