"""All declared objects together, each checked by itself with the tools of those who will read it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .api import Api, UnusableError
from .objects import groups_of, receivers_of, route_of, targets_of

Check = Callable[[str, dict[str, Any]], str]
"""Says what is wrong with the content of a file of rules, or of a configuration; empty when nothing is."""


class Gathered:
    """What all objects say together. A broken one is left out, with the reason, and takes no other along."""

    def __init__(self, api: Api, check: Check) -> None:
        self._api = api
        self._check = check
        self._groups: list[dict[str, Any]] = []
        self._routes: list[dict[str, Any]] = []
        self._receivers: list[dict[str, Any]] = [{"name": "nobody"}]
        self.targets: list[dict[str, Any]] = []
        self.left_out: list[str] = []
        for add, version, plural in (
            (self._add_rule, "v1", "prometheusrules"),
            (self._add_targets, "v1", "podmonitors"),
            (self._add_config, "v1alpha1", "alertmanagerconfigs"),
        ):
            for one in api.objects(version, plural):
                try:
                    add(one)
                except (UnusableError, KeyError, TypeError, ValueError) as error:
                    place = f"{one['metadata']['namespace']}/{one['metadata']['name']}"
                    self.left_out.append(f"{plural} {place} is left out: {error!r}")

    @property
    def rules(self) -> dict[str, Any]:
        """Prometheus' file of rules."""
        return {"groups": self._groups}

    @property
    def config(self) -> dict[str, Any]:
        """Alertmanager's configuration."""
        return {"route": {"receiver": "nobody", "routes": self._routes}, "receivers": self._receivers}

    def _add_rule(self, rule: dict[str, Any]) -> None:
        groups = groups_of(rule)
        if wrong := self._check("rules", {"groups": groups}):
            raise UnusableError(wrong)
        self._groups += groups

    def _add_targets(self, monitor: dict[str, Any]) -> None:
        wanted = monitor["spec"]["selector"].get("matchLabels", {})
        self.targets += targets_of(monitor, self._api.pods(monitor["metadata"]["namespace"], wanted))

    def _add_config(self, config: dict[str, Any]) -> None:
        route, receivers = route_of(config), receivers_of(config, self._api)
        alone = {"route": {"receiver": "nobody", "routes": [route]}, "receivers": [{"name": "nobody"}, *receivers]}
        if wrong := self._check("config", alone):
            raise UnusableError(wrong)
        self._routes.append(route)
        self._receivers += receivers


class Checker:
    """Debian's promtool and amtool; what they said of a content is not asked again."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._tools = {
            "rules": (f"{programs}/usr/bin/promtool", "check", "rules"),
            "config": (f"{programs}/usr/bin/amtool", "check-config"),
        }
        self._file = folder / "checked.json"
        self._known: dict[str, str] = {}

    def __call__(self, kind: str, content: dict[str, Any]) -> str:
        """What is wrong with it, empty when nothing is."""
        text = json.dumps(content)
        if text not in self._known:
            write(self._file, text)
            done = subprocess.run([*self._tools[kind], self._file], capture_output=True, text=True, check=False)
            self._known[text] = "" if done.returncode == 0 else (done.stderr or done.stdout).strip()
            self._file.unlink()
        return self._known[text]


def write(path: Path, text: str) -> None:
    """Write for ourselves alone, since there may be tokens in it, and all at once, since others read it."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    part.replace(path)
