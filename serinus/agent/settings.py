"""The agent's settings, out of its environment: what holds for the whole cluster. A service's own are its terms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from serinus.rollout import agency

_PREFIX = "SERINUS_AGENT_"


class SettingsError(ValueError):
    """An environment that can't be used. The message has one line per mistake: key, value, what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the agent works with.

    identity: the name of this replica. namespace: its own, where the Lease is.
    gateway: URLs of the gateway's metrics; a host name stands for each of its addresses.
    prometheus: the URL of a Prometheus for services that name none, empty without one.
    look_seconds: how often the gateway is read. sweep_seconds: how often services and their terms are looked for.
    kubeconfig: for an agent outside of the cluster.
    """

    identity: str
    gateway: tuple[str, ...]
    namespace: str = agency.NAMESPACE
    prometheus: str = ""
    port: int = agency.PORT
    look_seconds: float = 0.5
    sweep_seconds: float = 4.0
    blind_after: timedelta = timedelta(seconds=30)
    kubeconfig: Path | None = None

    @property
    def lease_path(self) -> str:
        """The Lease by which one of the replicas leads."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{agency.NAME}"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read `SERINUS_AGENT_*`. Raises SettingsError, which lists every mistake."""
    found = {key.removeprefix(_PREFIX): value for key, value in environ.items() if key.startswith(_PREFIX)}
    mistakes: list[str] = []

    def text(key: str, default: str | None = None) -> str:
        value = found.get(key, default or "")
        if default is None and not value:
            mistakes.append(f"{_PREFIX}{key} is missing; `serinus install-agent` sets it")
        return value

    def seconds(key: str, default: float, least: float) -> float:
        value = found.get(key, str(default))
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value) or float(value) < least:
            mistakes.append(f"{_PREFIX}{key}={value!r} is not allowed; allowed: seconds, {least:g} or more")
            return default
        return float(value)

    gateway = tuple(text("GATEWAY").split())
    for url in (*gateway, *([found["PROMETHEUS"]] if found.get("PROMETHEUS") else [])):
        if not re.match(r"https?://[^/]", url):
            mistakes.append(f"{url!r} is not allowed; allowed: a URL with http or https")
    settings = Settings(
        identity=text("IDENTITY"),
        gateway=gateway,
        namespace=text("NAMESPACE", agency.NAMESPACE),
        prometheus=text("PROMETHEUS", ""),
        port=int(seconds("PORT", agency.PORT, 0)),
        look_seconds=seconds("LOOK_SECONDS", 0.5, 0.1),
        blind_after=timedelta(seconds=seconds("BLIND_AFTER_SECONDS", 30.0, 2.0)),
        kubeconfig=Path(found["KUBECONFIG"]) if found.get("KUBECONFIG") else None,
    )
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings
