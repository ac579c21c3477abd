"""The API server as a test asks it: plain HTTP, as any user, and the answer as it came."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from local import kubernetes
from local.places import PKI, network

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Answer(NamedTuple):
    """Status code and document; a refusal's document is a Status with a message."""

    code: int
    document: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.code < 300

    @property
    def message(self) -> str:
        return str(self.document.get("message", ""))


class Api:
    """Asks as the cluster's admin, or as whoever the admin impersonates."""

    def __init__(self, user: str = "", group: str = "") -> None:
        self._as = {**({"Impersonate-User": user} if user else {}), **({"Impersonate-Group": group} if group else {})}

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        # Read at the first request: while tests are collected there may be no cluster yet, and so no keys.
        return ssl.create_default_context(cafile=str(PKI / "ca.crt"))

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, document: Mapping[str, Any]) -> Answer:
        return self.ask("POST", path, document)

    def put(self, path: str, document: Mapping[str, Any]) -> Answer:
        return self.ask("PUT", path, document)

    def patch(self, path: str, document: Mapping[str, Any], type_: str = MERGE) -> Answer:
        return self.ask("PATCH", path, document, type_)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)

    def ask(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, type_: str = "application/json"
    ) -> Answer:
        """Send one request; an answer that refuses is an answer, too."""
        request = urllib.request.Request(  # noqa: S310 (our own API server)
            f"{network().api}{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Authorization": f"Bearer {kubernetes.token('admin')}", **self._as, "Content-Type": type_},
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=self._trust) as answer:  # noqa: S310 (the same)
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))
