import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from serinus.agent.gateway import Gateway, Pages
from tests.agent.rollout_server import serving


def read(handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *more: str, seconds: float = 5.0) -> Pages:
    async def run() -> Pages:
        async with serving(handler) as url, Gateway([f"{url}/metrics", *more], seconds) as gateway:
            return await gateway.read()

    return asyncio.run(run())


async def well(request: web.Request) -> web.Response:
    return web.Response(text=f"asked for {request.path} at {request.host}\n")


def test_a_page_is_named_by_the_address_that_it_came_from() -> None:
    pages = read(well)
    (name,) = pages.expected
    assert name.startswith("127.0.0.1:")
    assert pages.pages == {name: f"asked for /metrics at {name}\n"}


def test_an_address_that_does_not_answer_is_expected_nevertheless() -> None:
    pages = read(well, "http://127.0.0.1:1/metrics", "http://no-such-name.invalid:9100/metrics")
    assert len(pages.expected) == 3
    assert set(pages.expected) - set(pages.pages) == {"127.0.0.1:1", "no-such-name.invalid:9100"}


async def error(request: web.Request) -> web.Response:
    return web.Response(text="no\n", status=500)


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


async def no_text(request: web.Request) -> web.Response:
    return web.Response(body=b"\xff\xfe")


async def cut_short(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"traefik_service_requests_total 1\n")
    assert request.transport is not None
    request.transport.close()
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b"a" * 1024 * 1024)
    except ConnectionError:
        return answer


async def late(request: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.Response(text="late\n")


@pytest.mark.parametrize(
    ("handler", "seconds"),
    [(error, 5.0), (elsewhere, 5.0), (no_text, 5.0), (cut_short, 5.0), (endless, 20.0), (late, 0.1)],
)
def test_what_is_no_whole_page_in_time_is_none(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], seconds: float
) -> None:
    pages = read(handler, seconds=seconds)
    assert (dict(pages.pages), len(pages.expected)) == ({}, 1)
