"""Reads the metrics of every pod of the gateway, twice a second and all at once: the fastest witness of what users get.

A page that is late, cut short or too large is no reading. So is one of an address that does not answer; that it was
expected is said nevertheless, since whom it serves nobody sees now.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from serinus.rollout.gateway_series import GarbageError, Lines, sort

_MOST_BYTES = 16 * 1024 * 1024
_READ_SECONDS = 0.9
_RESOLVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages that came, by address, and every address that there is."""

    pages: Mapping[str, str]
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the gateway, for all services: the sorted pages that are whole, and every address that there is."""

    lines: Mapping[str, Lines]
    expected: tuple[str, ...]
    garbage: Mapping[str, str]


def sample(pages: Pages) -> Sample:
    """Sort the pages. One that was cut short is no reading; `garbage` says why."""
    lines: dict[str, Lines] = {}
    garbage: dict[str, str] = {}
    for address, page in pages.pages.items():
        try:
            lines[address] = sort(page)
        except GarbageError as error:
            garbage[address] = str(error)
    return Sample(lines, pages.expected, garbage)


class Gateway:
    """Asks all addresses of some URLs. To be used with `async with`."""

    def __init__(self, urls: Sequence[str], seconds: float = _READ_SECONDS) -> None:
        self._urls = [URL(url) for url in urls]
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._known: dict[URL, tuple[str, ...]] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._seconds), trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self) -> Pages:
        """Read every address once. Never raises for what the gateway does."""
        found = [(url, address) for url in self._urls for address in await self._addresses(url)]
        pages = await asyncio.gather(*(self._page(url, address) for url, address in found))
        named = {f"{address}:{url.port}": page for (url, address), page in zip(found, pages, strict=True)}
        return Pages({name: page for name, page in named.items() if page is not None}, tuple(named))

    async def _addresses(self, url: URL) -> tuple[str, ...]:
        """A headless Service's name has the address of each pod. While names can't be resolved the last ones count."""
        host = url.host or ""
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
            self._known[url] = tuple(sorted({str(one[4][0]) for one in found}))
        except (OSError, TimeoutError):
            pass
        return self._known.get(url, (host,))

    async def _page(self, url: URL, address: str) -> str | None:
        if self._session is None:
            raise RuntimeError("the gateway is read outside of `async with`")
        # A certificate is for the name; without one each pod is asked by its address.
        at = url if url.scheme == "https" else url.with_host(address)
        content = bytearray()
        try:
            async with self._session.get(at, headers={"Host": url.authority}, allow_redirects=False) as answer:
                if answer.status != 200:
                    return None
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        return None
            return content.decode()
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError, ValueError):
            return None
