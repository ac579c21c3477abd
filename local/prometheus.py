"""Prometheus of the local cluster: Debian's, reading the gateway and the services' pods as they come and go.

It keeps little and uses one core at most: on a laptop it runs beside everything that it watches.
"""

import json
from pathlib import Path

from local.places import ALERTMANAGER_PORT, GATEWAY_METRICS_PORT, MONITORING, PROMETHEUS_PORT, Network
from local.processes import Daemon

CONFIG = MONITORING / "prometheus.json"
RULES = MONITORING / "rules.json"
TARGETS = MONITORING / "targets.json"
"""Both written by the operator's stand-in. JSON is YAML too, and needs no library to write."""


def daemon(net: Network, programs: Path) -> Daemon:
    """The program. It listens on the namespace's address only."""
    return Daemon(
        "prometheus",
        (
            *with_share(programs),
            f"{programs}/usr/bin/prometheus",
            f"--config.file={CONFIG}",
            f"--web.listen-address={net.node}:{PROMETHEUS_PORT}",
            f"--storage.tsdb.path={MONITORING}/prometheus",
            "--storage.tsdb.retention.time=6h",
            "--storage.tsdb.retention.size=256MB",
            # New rules are told to it, not waited for.
            "--web.enable-lifecycle",
            "--log.level=warn",
        ),
        {"GOMAXPROCS": "1"},
    )


def prepare(net: Network) -> None:
    """Write its configuration, and rules and targets that name nothing where there are none yet."""
    MONITORING.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(json.dumps(_config(net), indent=1))
    for file, nothing in ((RULES, {"groups": []}), (TARGETS, [])):
        if not file.exists():
            file.write_text(json.dumps(nothing))


def with_share(programs: Path) -> tuple[str, ...]:
    """The words before a program that looks for its files below /usr/share, where nothing was installed."""
    mount = f"mount --bind '{programs}/usr/share' /usr/share"
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mount} && exec "$0" "$@"')


def _config(net: Network) -> dict[str, object]:
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [str(RULES)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{net.node}:{ALERTMANAGER_PORT}"]}]}]},
        "scrape_configs": [
            {
                "job_name": "gateway",
                # The fast guards look at 15 seconds of it.
                "scrape_interval": "2s",
                "static_configs": [{"targets": [f"{net.node}:{GATEWAY_METRICS_PORT}"]}],
            },
            # Debian's Prometheus can't ask Kubernetes itself. The file is renewed within a second of a change.
            {"job_name": "pods", "file_sd_configs": [{"files": [str(TARGETS)]}]},
        ],
    }
