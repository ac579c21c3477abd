"""Where the local platform keeps things, and which addresses it uses.

Two roots: the cache (what was built or downloaded, keyed by the content of what it was made from, shared by all
checkouts) and the state (the running cluster; one per machine; gone after `down`).
"""

import hashlib
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

from local.errors import LocalError

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BIN = BUILD / "bin"
"""Programs of this checkout: the engine with its plugins, kubectl. `serinus cluster env` puts it on the PATH."""
INSTALL_LOGS = BUILD / "logs"

STATE = Path("/var/lib/serinus")
"""Short and fixed: it holds unix sockets, and the dev stack's settings name directories below it."""
LOGS = STATE / "logs"
RUN = STATE / "run"
PKI = STATE / "pki"
KUBECONFIG = STATE / "kubeconfig"
NETWORK_RECORD = STATE / "network"
SERVING = STATE / "serving"
MODELS = STATE / "models"
MONITORING = STATE / "monitoring"
"""What Prometheus and Alertmanager read and keep; see local/monitoring.py."""

CONTEXT = "serinus-local"
NAMESPACE = "serinus"
"""The network namespace and the prefix of its link."""

API_PORT = 6443
GATEWAY_PORT = 80
GATEWAY_METRICS_PORT = 9100
GATEWAY_API_PORT = 9101
PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093


def cache() -> Path:
    """The user's cache directory for this project."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "serinus"


def content_key(paths: Iterable[Path], *extra: str) -> str:
    """12 hex digits over the names and bytes of `paths` (directories are walked) and the `extra` strings."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if "__pycache__" in file.parts:
                continue
            digest.update(f"{file.relative_to(path.parent)}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    for text in extra:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()[:12]


class Network:
    """The addresses of the cluster, cut from one private /16.

    10.231.0.0/17 pods, 10.231.128.0/20 services, 10.231.255.0/30 the link between the host and the namespace.
    """

    def __init__(self, block: str) -> None:
        try:
            self.block = ipaddress.IPv4Network(block)
        except ValueError as error:
            raise LocalError(f"SERINUS_LOCAL_NETWORK={block} is no IPv4 network: {error}") from None
        if self.block.prefixlen != 16 or not self.block.is_private:
            raise LocalError(f"SERINUS_LOCAL_NETWORK={block} must be a private /16, such as 10.231.0.0/16")
        base = int(self.block.network_address)
        self.pods = ipaddress.IPv4Network((base, 17))
        self.services = ipaddress.IPv4Network((base + 0x8000, 20))
        self.link = ipaddress.IPv4Network((base + 0xFFFC, 30))
        self.host, self.node = (str(address) for address in self.link.hosts())

    @property
    def api(self) -> str:
        return f"https://{self.node}:{API_PORT}"

    @property
    def gateway(self) -> str:
        """The gateway's URL as a user sees it, without a trailing slash."""
        port = "" if GATEWAY_PORT == 80 else f":{GATEWAY_PORT}"
        return f"http://{self.node}{port}"

    @property
    def gateway_metrics(self) -> str:
        return f"http://{self.node}:{GATEWAY_METRICS_PORT}/metrics"

    @property
    def prometheus(self) -> str:
        return f"http://{self.node}:{PROMETHEUS_PORT}"

    @property
    def alertmanager(self) -> str:
        return f"http://{self.node}:{ALERTMANAGER_PORT}"


def network() -> Network:
    """The network of this machine's cluster: the one that is up, else SERINUS_LOCAL_NETWORK, else the default."""
    chosen = os.environ.get("SERINUS_LOCAL_NETWORK")
    if chosen is None and NETWORK_RECORD.exists():
        chosen = NETWORK_RECORD.read_text()
    return Network(chosen or "10.231.0.0/16")
