"""The API server as the stand-in asks it: lists once a second, single objects where a receiver names them."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

SECONDS = 5.0
"""How long an answer may take, of the API server as of those who are told of news."""


class UnusableError(Exception):
    """An object that is left out; the message says why."""


class Api:
    """The API server, read with the token of a file."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        self._token = pki / "monitoring.token"
        self._trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))

    def get(self, path: str) -> dict[str, Any]:
        """Return an object or a list. Raises OSError when there is none, or no answer."""
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
        request = urllib.request.Request(f"{self._server}{path}", headers=headers)  # noqa: S310 (our own API server)
        with urllib.request.urlopen(request, timeout=SECONDS, context=self._trust) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found

    def objects(self, group: str, plural: str) -> list[dict[str, Any]]:
        """All objects of a kind, in a steady order. From the API server's cache: a second more or less is no matter."""
        items = self.get(f"/apis/monitoring.coreos.com/{group}/{plural}?resourceVersion=0")["items"]
        return sorted(items, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))

    def pods(self, namespace: str, labels: dict[str, str]) -> list[dict[str, Any]]:
        """The pods of a namespace that have these labels, in a steady order."""
        query = urllib.parse.urlencode(
            {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items()), "resourceVersion": 0}
        )
        items = self.get(f"/api/v1/namespaces/{namespace}/pods?{query}")["items"]
        return sorted(items, key=lambda pod: str(pod["metadata"]["name"]))

    def of(self, namespace: str, plural: str, name: str) -> dict[str, Any]:
        """One of the core kinds."""
        try:
            return self.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
        except urllib.error.HTTPError as error:
            raise UnusableError(f"{plural} {namespace}/{name}: the API server answers {error.code}") from None
