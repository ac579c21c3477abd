"""As much of an API server as the agent's writing needs, in this process: objects by path, versions, refusals.

It is a seam for what a real one does not do on demand: to be away, to refuse, to let somebody else write in between.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.agent.api import Access, Api


@dataclass
class SmallApiServer:
    """`objects` by path. `before` sees each request first and may answer it; None lets it pass."""

    objects: dict[str, Any] = field(default_factory=dict)
    before: Callable[[str, str], web.Response | None] = lambda method, path: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    version: int = 0

    def put(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {"uid": f"uid-{self.version}", **document.get("metadata", {}), "resourceVersion": str(self.version)}
        self.objects[path] = {**document, "metadata": metadata}
        return dict(self.objects[path])

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path))
        refused = self.before(request.method, request.path)
        if refused is not None:
            return refused
        there = self.objects.get(request.path)
        if request.method == "POST":
            document = await request.json()
            name = document["metadata"].get("name") or f"{document['metadata']['generateName']}{self.version}"
            path = f"{request.path}/{name}"
            if path in self.objects:
                return said(409, "it exists")
            return web.json_response(self.put(path, document), status=201)
        if request.method == "GET" and there is None:
            items = [one for path, one in self.objects.items() if path.rpartition("/")[0] == request.path]
            return web.json_response({"items": items}) if items else said(404, "not found")
        if there is None:
            return said(404, "not found")
        if isinstance(there, str):
            return web.Response(text=there)
        if request.method == "PUT":
            document = await request.json()
            if document["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
                return said(409, "the object has been modified")
            return web.json_response(self.put(request.path, document))
        return web.json_response(there)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Api]:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self.answer)
        async with TestServer(app) as server, Api(Access(str(server.make_url("")).rstrip("/")), seconds=2.0) as api:
            yield api


def said(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)
