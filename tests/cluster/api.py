"""The API server as a test asks it: plain HTTP, as any user, and the answer as it came."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import urllib3

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
    def _server(self) -> urllib3.PoolManager:
        # Made at the first request: while tests are collected there may be no cluster yet, and so no keys.
        return urllib3.PoolManager(ca_certs=str(PKI / "ca.crt"), maxsize=8, retries=False, timeout=20)

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
        answer = self._server.request(
            method,
            f"{network().api}{path}",
            body=None if document is None else json.dumps(document),
            headers={"Authorization": f"Bearer {kubernetes.token('admin')}", **self._as, "Content-Type": type_},
        )
        return Answer(answer.status, answer.json())
