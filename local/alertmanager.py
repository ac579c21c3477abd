"""Alertmanager of the local cluster: Debian's, sending alerts where the stacks' AlertmanagerConfigs say."""

import json
from pathlib import Path

from local.places import ALERTMANAGER_PORT, MONITORING, Network
from local.processes import Daemon
from local.prometheus import with_share

CONFIG = MONITORING / "alertmanager.json"
"""Written by the operator's stand-in; it may hold tokens."""


def daemon(net: Network, programs: Path) -> Daemon:
    """The program. It listens on the namespace's address only."""
    return Daemon(
        "alertmanager",
        (
            *with_share(programs),
            f"{programs}/usr/bin/prometheus-alertmanager",
            f"--config.file={CONFIG}",
            f"--web.listen-address={net.node}:{ALERTMANAGER_PORT}",
            f"--storage.path={MONITORING}/alertmanager",
            # It is alone: no port for others of its kind.
            "--cluster.listen-address=",
            "--log.level=warn",
        ),
        {"GOMAXPROCS": "1"},
    )


def prepare() -> None:
    """Write a configuration that tells nobody, where there is none yet."""
    MONITORING.mkdir(parents=True, exist_ok=True)
    if not CONFIG.exists():
        CONFIG.touch(mode=0o600)
        CONFIG.write_text(json.dumps({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}))
