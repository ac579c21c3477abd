import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.agent.api import Access, AccessError, Api, ApiError, from_kubeconfig, in_cluster

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(handler: Handler, call: Callable[[Api], Awaitable[Any]], seconds: float = 5.0, **access: Any) -> Any:
    async def run() -> Any:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        async with TestServer(app) as server:
            url = str(server.make_url("")).rstrip("/")
            async with Api(Access(url, **access), seconds) as api:
                return await call(api)

    return asyncio.run(run())


def test_an_apply_is_forced_and_names_its_manager(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of today\n")

    async def handler(request: web.Request) -> web.Response:
        assert request.query == {"fieldManager": "me", "force": "true"}
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert request.headers["Authorization"] == "Bearer of today"
        return web.json_response({"path": request.path, "got": await request.json()})

    got = ask(handler, lambda api: api.apply("/an/object", {"a": 1}, "me"), token_file=tmp_path / "token")
    assert got == {"path": "/an/object", "got": {"a": 1}}


@pytest.mark.parametrize(("code", "missing", "conflict"), [(404, True, False), (409, False, True), (503, False, False)])
def test_a_refusal_carries_its_code_and_the_servers_words(code: int, missing: bool, conflict: bool) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "message": "not today"}, status=code)

    with pytest.raises(ApiError, match="not today") as raised:
        ask(handler, lambda api: api.get("/x"))
    assert (raised.value.code, raised.value.missing, raised.value.conflict) == (code, missing, conflict)


def test_what_is_no_json_object_is_no_answer() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="<html>a proxy</html>")

    with pytest.raises(ApiError, match="no JSON object"):
        ask(handler, lambda api: api.get("/x"))


def test_a_server_that_never_answers_costs_one_time_out() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    with pytest.raises(ApiError, match="no answer"):
        ask(handler, lambda api: api.get("/x"), seconds=0.1)


def test_a_closed_client_gives_no_answer() -> None:
    async def run() -> None:
        async with Api(Access("http://127.0.0.1:1")) as api:
            pass
        with pytest.raises(ApiError, match="closed"):
            await api.get("/x")

    asyncio.run(run())


def kubeconfig(folder: Path, user: dict[str, str]) -> Path:
    file = folder / "kubeconfig"
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/"}}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_kubeconfig_says_where_and_who(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"token": "secret"}))
    assert (access.url, access.headers()) == ("http://127.0.0.1:1", {"Authorization": "Bearer secret"})
    assert "secret" not in repr(access)


@pytest.mark.parametrize(("context", "user"), [("", {"username": "ada"}), ("there", {"token": "x"})])
def test_a_kubeconfig_that_can_not_be_used_says_so(tmp_path: Path, context: str, user: dict[str, str]) -> None:
    with pytest.raises(AccessError, match="kubeconfig"):
        from_kubeconfig(kubeconfig(tmp_path, user), context)


def test_outside_of_a_pod_there_is_no_account(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="no pod"):
        in_cluster({}, tmp_path)
