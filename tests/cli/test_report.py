"""`serinus report` as it is run: from a recording, and from a real Prometheus that has the counters of a rollout."""

import json
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local import debian
from local.errors import LocalError
from serinus.cli import service
from serinus.cli.main import app
from serinus.rollout.alert_queries import gateway_label
from serinus.rollout.book import write
from serinus.rollout.ledger import Line
from serinus.rollout.report import Recording
from tests.rollout.recordings import entries, recording

BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
SERVICE = ("serinus", "chat-stable", "chat-v1-3", "http")


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["report", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_recording_becomes_a_page(tmp_path: Path) -> None:
    kept, shown = tmp_path / "kept.json", tmp_path / "page.html"
    kept.write_text(json.dumps(recording().document()))
    said = run("chat", "--data", str(kept), "-o", str(shown))
    assert "5 decisions, 84 spans of time" in said
    assert "Cut at 20 % after 16 min" in shown.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (None, "chat", "the recording can't be read"),
        ("{", "chat", "is no recording"),
        ("{}", "chat", "is no recording: service"),
        (json.dumps(recording().document()), "other", "is of the service chat, not of other"),
    ],
)
def test_what_is_no_recording_of_the_service_is_refused_with_a_remedy(
    text: str | None, name: str, why: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    if text is not None:
        kept.write_text(text)
    with pytest.raises(LocalError, match=why) as caught:
        run(name, "--data", str(kept), "-o", str(tmp_path / "page.html"))
    assert caught.value.remedy


def exposition() -> str:
    """40 minutes of counters, read every 5 s: 2 requests/s on the canary from the 10th to the 20th minute, then none.

    A third of its requests fail. Its failures' series is born with the first failure, as gateways do it. The canary
    before it was served until two minutes before, under the same name.
    """
    canary, stable = gateway_label(*SERVICE, canary=True), gateway_label(*SERVICE)
    series: dict[str, list[str]] = {"requests": [], "buckets": [], "tokens": [], "up": []}
    for second in range(0, 2400, 5):
        at = (BEGIN + timedelta(seconds=second)).timestamp()
        seen, before = min(max(second - 600, 0), 600), min(max(second - 360, 0), 120)
        series["up"].append(f'up{{job="all",instance="one"}} 1 {at}')
        for arm, code, value in (
            (stable, 200, 8 * second),
            (stable, 500, second // 50),
            (canary, 200, before * 2 + seen * 2 - seen * 2 // 3),
            (canary, 500, seen * 2 // 3),
        ):
            if value or arm == stable:
                labels = f'service="{arm}",code="{code}",job="all",instance="one"'
                series["requests"].append(f"traefik_service_requests_total{{{labels}}} {value} {at}")
        for arm, count, fast in ((stable, 8 * second, 0.95), (canary, 2 * (before + seen), 0.5)):
            for edge, part in (("0.5", fast), ("1.0", 1.0), ("+Inf", 1.0)):
                labels = f'service="{arm}",le="{edge}",job="all",instance="one"'
                series["buckets"].append(
                    f"traefik_service_request_duration_seconds_bucket{{{labels}}} {count * part} {at}"
                )
        for release, count in (("v1-3-77aa01be", 8 * second), ("v1-4-9f2c11d0", 2 * seen)):
            labels = f'namespace="serinus",release="{release}",type="output",job="all",instance="one"'
            series["tokens"].append(f"llm_tokens_total{{{labels}}} {100 * count} {at}")
    kinds = {
        "up": "up gauge",
        "requests": "traefik_service_requests counter",
        "buckets": "traefik_service_request_duration_seconds_bucket unknown",
        "tokens": "llm_tokens counter",
    }
    # One series after the other, each in the order of time, as the format wants it.
    lines = []
    for kind, told in kinds.items():
        lines += [f"# TYPE {told}", *sorted(series[kind], key=lambda line: line.rpartition("}")[0])]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with those counters; its address."""
    home, programs = tmp_path_factory.mktemp("prometheus"), debian.monitoring() / "usr/bin"
    (home / "counters").write_text(exposition())
    (home / "prometheus.yml").write_text("scrape_configs: []\n")
    made = [str(programs / "promtool"), "tsdb", "create-blocks-from", "openmetrics", "counters", "data"]
    subprocess.run(made, cwd=home, check=True, capture_output=True, timeout=120)
    argv = [str(programs / "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    argv += ["--web.listen-address=127.0.0.1:0", "--storage.tsdb.retention.time=3650d"]
    with (home / "log").open("wb") as log, subprocess.Popen(argv, cwd=home, stdout=log, stderr=log) as process:
        try:
            yield address(home / "log", process)
        finally:
            process.terminate()


def address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until it serves; return where."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        told = re.search(r'msg="Listening on" address=(\S+)', log.read_text())
        if told and ready(f"http://{told[1]}/-/ready"):
            return f"http://{told[1]}"
        time.sleep(0.1)
    pytest.fail(log.read_text())


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own http address)
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """In kubectl's place: the ledger of a canary that was cut 20 minutes after BEGIN, and its CanaryRelease."""
    book: dict[str, str] = {}
    deeds = [(600, "step", 0, 20, None, "mira", "try it"), (1200, "cut", 20, 0, "fail", "serinus-agent", "errors")]
    shift = BEGIN - datetime(2026, 11, 21, 12, tzinfo=UTC)
    for entry in entries(deeds):
        moved = entry.deed.model_dump() | {"at": entry.deed.at + shift}
        book = write(book, Line.model_validate(moved)).book
    answers = {
        "configmap chat-ledger": {"data": book},
        "canaryreleases.serinus.dev chat": {"spec": {"stable": "v1-3-77aa01be", "canary": ""}},
    }

    def kubectl(context: str, *words: str, **_: str) -> str:
        found = answers.get(" ".join(words[3:5]))
        return json.dumps(found) if found else ""

    monkeypatch.setattr(service, "kubectl", kubectl)


@pytest.mark.usefixtures("cluster")
def test_the_counters_of_a_real_prometheus_become_the_arms_of_the_page(prometheus: str, tmp_path: Path) -> None:
    kept, shown = tmp_path / "kept.json", tmp_path / "page.html"
    run("chat", "--prometheus", prometheus, "--output-price", "2", "--save", str(kept), "-o", str(shown))
    found = Recording.model_validate_json(kept.read_bytes())
    assert [entry.deed.what for entry in found.entries] == ["step", "cut"]
    assert found.breaks == ()
    requests, errors, tokens = (
        sum(getattr(span.canary, part) for span in found.spans) for part in ("requests", "errors", "output_tokens")
    )
    # What is born between two reads counts in full; what rose is reckoned up to the edges of a step.
    assert requests == pytest.approx(1200, rel=0.05)
    assert errors == pytest.approx(400, rel=0.05)
    assert tokens == pytest.approx(120_000, rel=0.05)
    at_work = [span for span in found.spans if span.canary.requests > 20]
    assert all(span.stable.requests == pytest.approx(120, rel=0.1) for span in at_work)
    assert all(set(span.canary.buckets) == {"0.5", "1.0", "+Inf"} for span in at_work)
    page = shown.read_text(encoding="utf-8")
    assert "Cut at 20 % after 10 min" in page
    assert "cost of 1,000 requests" in page


@pytest.mark.usefixtures("cluster")
def test_without_prometheus_the_page_has_the_decisions(tmp_path: Path) -> None:
    shown = tmp_path / "page.html"
    assert "decisions only" in run("chat", "-o", str(shown))
    assert "No data is not health." in shown.read_text(encoding="utf-8")


@pytest.mark.usefixtures("cluster")
def test_a_prometheus_that_is_away_is_an_error_and_not_an_empty_page(tmp_path: Path) -> None:
    shown = tmp_path / "page.html"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(LocalError, match="gave no answer") as caught:
        run("chat", "--prometheus", nobody, "-o", str(shown))
    assert "port-forward" in caught.value.remedy
    assert not shown.exists()


@pytest.mark.usefixtures("cluster")
def test_an_unknown_release_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="nothing about v9") as caught:
        run("chat", "--release", "v9", "-o", str(tmp_path / "page.html"))
    assert "v1-4-9f2c11d0" in caught.value.remedy
