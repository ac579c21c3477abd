"""An API server's and a gateway's part in a rollout, in this process, each as good as the agent needs it to be.

The API server keeps who owns which annotation and which version was read, since the agent's promises rest on that.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.agent.api import Access, Api
from serinus.agent.settings import Settings
from serinus.rollout.gateway_series import names
from serinus.rollout.reconcile import Rules
from serinus.rollout.share import CANARY, WEIGHT
from tests.agent.small_api_server import SmallApiServer, said

SPEC = {
    "service": "chat",
    "host": "chat.test",
    "stable": "v1-01234567",
    "canary": "v2-01234567",
    "weight": 20,
    "ladder": [{"weight": 20}, {"weight": 100}],
}


def settings(**changes: Any) -> Settings:
    base: dict[str, Any] = {
        "service": "chat",
        "namespace": "llm",
        "identity": "me",
        "gateway": (),
    }
    # A test waits for what a person would.
    base["rules"] = Rules(orphan=timedelta(seconds=0.3))
    return Settings(**{**base, **changes})


RELEASE = settings().release_path
INGRESS = settings().ingress_path


@dataclass
class RolloutServer(SmallApiServer):
    """Has one service at weight 20. `silent` is True while it answers nothing."""

    silent: bool = False

    def __post_init__(self) -> None:
        self.put(RELEASE, {"kind": "CanaryRelease", "metadata": {"name": "chat", "generation": 1}, "spec": SPEC})
        self.put(INGRESS, {"kind": "Ingress", "metadata": {"name": "chat-canary", "annotations": {CANARY: "true"}}})
        self.annotate("pulumi", {WEIGHT: "20"})

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.objects[INGRESS]["metadata"]["annotations"]
        return found

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.objects[RELEASE].get("status", {})
        return found

    def annotate(self, manager: str, annotations: Mapping[str, str]) -> None:
        """Write annotations as `manager`, who owns them from then on, alone."""
        ingress = self.objects[INGRESS]
        metadata = dict(ingress["metadata"])
        keys = {f"f:{key}": {} for key in annotations}
        kept = []
        for entry in metadata.get("managedFields", []):
            owned = entry["fieldsV1"]["f:metadata"]["f:annotations"]
            left = {key: value for key, value in owned.items() if key not in keys}
            if entry["manager"] != manager and left:
                kept.append({**entry, "fieldsV1": {"f:metadata": {"f:annotations": left}}})
        mine = {"manager": manager, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:annotations": keys}}}
        metadata |= {"annotations": {**metadata["annotations"], **annotations}, "managedFields": [*kept, mine]}
        self.put(INGRESS, {**ingress, "metadata": metadata})

    async def answer(self, request: web.Request) -> web.Response:
        if self.silent:
            self.asked.append((request.method, request.path))
            return said(503, "away")
        if request.method != "PATCH":
            return await super().answer(request)
        self.asked.append((request.method, request.path))
        refused = self.before(request.method, request.path)
        if refused is not None:
            return refused
        change = json.loads(await request.text())
        if request.path not in self.objects and not request.path.endswith("/status"):
            return said(422, "it can't be created by an apply")
        if request.path == INGRESS:
            self.annotate(request.query["fieldManager"], change["metadata"]["annotations"])
            return web.json_response(self.objects[INGRESS])
        assert request.path == f"{RELEASE}/status", request.path
        there = self.objects[RELEASE]
        if change["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            return said(409, "the object has been modified")
        merged = {key: value for key, value in {**self.status, **change["status"]}.items() if value is not None}
        return web.json_response(self.put(RELEASE, {**there, "status": merged}))

    def write_status(self, **changes: Any) -> None:
        """Write parts of the status as somebody else; None removes."""
        merged = {key: value for key, value in {**self.status, **changes}.items() if value is not None}
        self.put(RELEASE, {**self.objects[RELEASE], "status": merged})


@dataclass
class CountingGateway:
    """What a gateway counted: requests and errors of each arm. `garble` may spoil the page."""

    canary: tuple[int, int] = (1000, 0)
    stable: tuple[int, int] = (4000, 0)
    garble: Callable[[str], str] = lambda page: page
    url: str = field(default="", init=False)

    def page(self) -> str:
        arms = names("llm", "chat", "v1-01234567")
        lines = []
        for name, (total, bad) in ((arms.canary, self.canary), (arms.stable, self.stable)):
            for code, count in (("200", total - bad), ("500", bad)):
                labels = f'code="{code}",method="POST",protocol="http",service="{name}"'
                lines.append(f"traefik_service_requests_total{{{labels}}} {count}")
                lines.append(f"traefik_service_request_duration_seconds_count{{{labels}}} {count}")
        return self.garble("\n".join(lines) + "\n")

    def count(self, canary: tuple[int, int] = (2, 0), stable: tuple[int, int] = (8, 0)) -> None:
        self.canary = (self.canary[0] + canary[0], self.canary[1] + canary[1])
        self.stable = (self.stable[0] + stable[0], self.stable[1] + stable[1])


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """Serve one handler at every path; yields the URL without a trailing slash."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def reached(server: SmallApiServer) -> AsyncIterator[Api]:
    """Reach an API server as the agent does."""
    async with serving(server.answer) as url, Api(Access(url), seconds=2.0) as api:
        yield api
