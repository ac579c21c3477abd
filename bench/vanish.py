"""Does the model stop when its user goes? A thousand clients vanish in the middle of their streams.

Eight at a time ask the real model for a long answer, take the first words, and drop the connection. From the moment
at which the last of the eight is gone, the time is taken until the engine decodes nothing any more. The memory of all
processes of the service is compared after a fifth of the clients, when the allocator has what it needs, and at the end.
The last line is JSON: clients, counted (how many the service itself counts as gone), stop_worst_s, stop_median_s,
memory_before_mb, memory_after_mb, and whether each bar is met: stopped within 2 s, memory within a tenth.

usage: python bench/vanish.py --weights DIR [--clients N]
Run with the Python of the service's own environment (bento_service/requirements-dev.txt).
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import time

import aiohttp
import psutil
from serve import ours

WAVE = 8
TOKENS = 512
STOP_SECONDS = 2.0
GROWTH = 1.1
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0
OPTIONS = {"max_concurrency": WAVE, "max_queue": WAVE, "max_prompt_tokens": 128, "token_timeout_seconds": 600.0}


class StillDecodingError(Exception):
    """The engine went on for users who had gone."""


async def begin_and_go(http: aiohttp.ClientSession, url: str, number: int) -> None:
    """Ask, read the first words of the answer, and go without a word."""
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": f"{number}. Tell me a long story about the sea."}],
        "max_tokens": TOKENS,
        "stream": True,
    }
    async with http.post(f"{url}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                break
        response.close()


async def total(http: aiohttp.ClientSession, url: str, series: str) -> float:
    """The sum of a metric's series whose line begins so."""
    async with http.get(f"{url}/metrics") as response:
        text = await response.text()
    return sum(float(value) for value in re.findall(rf"(?m)^{series}\S* (\S+)$", text))


async def wave(url: str, first: int, count: int) -> float:
    """Let so many go; return the seconds from the last one's going to an engine that decodes nothing."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http:
        await asyncio.gather(*(begin_and_go(http, url, first + one) for one in range(count)))
        gone = time.perf_counter()
        while await total(http, url, "llm_sequences_decoding") + await total(http, url, "llm_requests_running"):
            if time.perf_counter() > gone + _PATIENCE_SECONDS:
                raise StillDecodingError(f"after {_PATIENCE_SECONDS:.0f} s the engine still decodes")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.perf_counter() - gone


async def counted(url: str) -> int:
    """How many requests the service itself counts as left by their clients."""
    async with aiohttp.ClientSession() as http:
        return round(await total(http, url, r'llm_requests_total{[^}]*outcome="client_disconnect"'))


def memory() -> float:
    """Resident megabytes of the service: of all that this process has started."""
    return sum(child.memory_info().rss for child in psutil.Process().children(recursive=True)) / 1e6


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=os.environ.get("SERINUS_WEIGHTS"), help="a model directory")
    parser.add_argument("--clients", default=1000, type=int)
    chosen = parser.parse_args()
    if chosen.weights is None:
        parser.error("give --weights or SERINUS_WEIGHTS: the directory of a model, made by bento_service/weights.py")
    stops, before = [], None
    with ours("transformers", chosen.weights, TOKENS, OPTIONS) as url:
        for first in range(0, chosen.clients, WAVE):
            stops.append(asyncio.run(wave(url, first, min(WAVE, chosen.clients - first))))
            if before is None and first + WAVE >= chosen.clients / 5:
                before = memory()
            if len(stops) % 10 == 0:
                print(f"{first + WAVE} gone, stopped after {max(stops):.2f} s at worst, {memory():.0f} MB", flush=True)
        after, seen = memory(), asyncio.run(counted(url))
    assert before is not None
    met = {
        "stopped": max(stops) <= STOP_SECONDS,
        "memory_flat": after <= GROWTH * before,
        "all_counted": seen == chosen.clients,
    }
    result = {
        "clients": chosen.clients,
        "counted": seen,
        "stop_worst_s": round(max(stops), 3),
        "stop_median_s": round(statistics.median(stops), 3),
        "memory_before_mb": round(before, 1),
        "memory_after_mb": round(after, 1),
        "met": met,
    }
    print(json.dumps(result))
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
