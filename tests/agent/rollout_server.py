"""An API server's and a gateway's part in a rollout, in this process, each as good as the agent needs it to be.

The API server keeps who owns which annotation and which version was read, since the agent's promises rest on that.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.agent.api import Access, Api
from serinus.agent.place import Place
from serinus.rollout.canary_release import API_VERSION, PLURAL
from serinus.rollout.gateway_series import names
from serinus.rollout.memory import Rules
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


PLACE = Place("llm", "chat")
# A test waits for what a person would.
RULES = Rules(orphan=timedelta(seconds=0.3))
RELEASE = PLACE.release_path
INGRESS = PLACE.ingress_path


def secret(**texts: str) -> dict[str, Any]:
    """A Secret as the API server shows it."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
    return {"kind": "Secret", "metadata": {}, "data": data}


def _merged(there: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as the API server does: deeply, and null takes away."""
    merged = dict(there)
    for key, value in change.items():
        before = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = _merged(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[key] = value
    return {key: value for key, value in merged.items() if value is not None}


@dataclass
class RolloutServer(SmallApiServer):
    """Has one service at weight 20, and others that are added. `silent` is True while it answers nothing."""

    silent: bool = False

    def __post_init__(self) -> None:
        self.add(PLACE)

    def add(self, place: Place, **terms: str) -> None:
        """Add a service; with terms it has bound the agent."""
        metadata = {"name": place.service, "namespace": place.namespace, "generation": 1}
        spec = {**SPEC, "service": place.service}
        self.put(place.release_path, {"kind": "CanaryRelease", "metadata": metadata, "spec": spec})
        ingress = {"name": place.ingress, "annotations": {CANARY: "true"}}
        self.put(place.ingress_path, {"kind": "Ingress", "metadata": ingress})
        self.annotate("pulumi", {WEIGHT: "20"}, place)
        if terms:
            self.put(place.terms_path, secret(**terms))

    def remove(self, place: Place) -> None:
        """Delete a service's objects."""
        for path in (place.release_path, place.ingress_path, place.terms_path):
            self.objects.pop(path, None)

    @property
    def annotations(self) -> dict[str, str]:
        return self.annotations_of(PLACE)

    @property
    def status(self) -> dict[str, Any]:
        return self.status_of(PLACE)

    def annotations_of(self, place: Place) -> dict[str, str]:
        found: dict[str, str] = self.objects[place.ingress_path]["metadata"]["annotations"]
        return found

    def status_of(self, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = self.objects[place.release_path].get("status", {})
        return found

    def annotate(self, manager: str, annotations: Mapping[str, str], place: Place = PLACE) -> None:
        """Write annotations as `manager`, who owns them from then on, alone."""
        ingress = self.objects[place.ingress_path]
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
        self.put(place.ingress_path, {**ingress, "metadata": metadata})

    async def answer(self, request: web.Request) -> web.Response:
        if self.silent:
            self.asked.append((request.method, request.path))
            return said(503, "away")
        if request.path == f"/apis/{API_VERSION}/{PLURAL}":
            self.asked.append((request.method, request.path))
            found = [one for path, one in self.objects.items() if f"/{PLURAL}/" in path]
            return self.before(request.method, request.path) or web.json_response({"items": found})
        if request.method != "PATCH":
            return await super().answer(request)
        self.asked.append((request.method, request.path))
        refused = self.before(request.method, request.path)
        if refused is not None:
            return refused
        change = json.loads(await request.text())
        path = request.path.removesuffix("/status")
        if path not in self.objects:
            return said(422, "it can't be created by an apply")
        namespace, service = path.split("/")[5], path.rpartition("/")[2]
        if path == request.path:
            place = Place(namespace, service.removesuffix("-canary"))
            self.annotate(request.query["fieldManager"], change["metadata"]["annotations"], place)
            return web.json_response(self.objects[path])
        there = self.objects[path]
        if change["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            return said(409, "the object has been modified")
        place = Place(namespace, service)
        merged = _merged(self.status_of(place), change["status"])
        return web.json_response(self.put(path, {**there, "status": merged}))

    def write_status(self, **changes: Any) -> None:
        """Write parts of the status as somebody else; None removes."""
        merged = {key: value for key, value in {**self.status, **changes}.items() if value is not None}
        self.put(RELEASE, {**self.objects[RELEASE], "status": merged})


@dataclass
class CountingGateway:
    """What a gateway counted: requests and errors of each arm. `garble` may spoil the page."""

    place: Place = PLACE
    canary: tuple[int, int] = (1000, 0)
    stable: tuple[int, int] = (4000, 0)
    garble: Callable[[str], str] = lambda page: page
    url: str = field(default="", init=False)

    def page(self) -> str:
        arms = names(self.place.namespace, self.place.service, "v1-01234567")
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
