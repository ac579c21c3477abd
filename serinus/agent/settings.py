"""The agent's settings, out of its environment: the stack's component writes them, a person reads them in the pod."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from serinus.rollout.reconcile import Rules

_PREFIX = "SERINUS_AGENT_"


class SettingsError(ValueError):
    """An environment that can't be used. The message has one line per mistake: key, value, what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one agent works with.

    gateway: URLs of the gateway's metrics; a host name stands for each of its addresses.
    prometheus: the URL of a Prometheus, empty without one.
    look_seconds: how often the gateway is read.
    identity: the name of this replica.
    notices: a folder that says who is told, None to tell nobody.
    kubeconfig: for an agent outside of the cluster.
    """

    service: str
    namespace: str
    identity: str
    gateway: tuple[str, ...]
    prometheus: str = ""
    port: int = 8080
    token_file: Path = Path("/etc/serinus-agent/token")
    notices: Path | None = None
    look_seconds: float = 0.5
    blind_after: timedelta = timedelta(seconds=30)
    rules: Rules = field(default_factory=Rules)
    kubeconfig: Path | None = None

    @property
    def lease(self) -> str:
        """The name of the Lease by which one of the replicas leads."""
        return f"{self.service}-agent"

    @property
    def release_path(self) -> str:
        """The CanaryRelease on the API server."""
        return f"/apis/serinus.dev/v1alpha1/namespaces/{self.namespace}/canaryreleases/{self.service}"

    @property
    def ingress(self) -> str:
        """The name of the canary's Ingress."""
        return f"{self.service}-canary"

    @property
    def ingress_path(self) -> str:
        """The canary's Ingress on the API server."""
        return f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/ingresses/{self.ingress}"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read `SERINUS_AGENT_*`. Raises SettingsError, which lists every mistake."""
    found = {key.removeprefix(_PREFIX): value for key, value in environ.items() if key.startswith(_PREFIX)}
    mistakes: list[str] = []

    def text(key: str, default: str | None = None) -> str:
        value = found.get(key, default or "")
        if default is None and not value:
            mistakes.append(f"{_PREFIX}{key} is missing; the stack's component sets it")
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
    blind_hold = seconds("BLIND_HOLD_SECONDS", 120.0, 0.0)
    settings = Settings(
        service=text("SERVICE"),
        namespace=text("NAMESPACE"),
        identity=text("IDENTITY"),
        gateway=gateway,
        prometheus=text("PROMETHEUS", ""),
        port=int(seconds("PORT", 8080, 0)),
        token_file=Path(text("TOKEN_FILE", "/etc/serinus-agent/token")),
        notices=Path(found["NOTICES"]) if found.get("NOTICES") else None,
        look_seconds=seconds("LOOK_SECONDS", 0.5, 0.1),
        blind_after=timedelta(seconds=seconds("BLIND_AFTER_SECONDS", 30.0, 2.0)),
        rules=Rules(blind_hold=timedelta(seconds=blind_hold) if blind_hold else None),
        kubeconfig=Path(found["KUBECONFIG"]) if found.get("KUBECONFIG") else None,
    )
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings
