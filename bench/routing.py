"""Is every user routed as told, is nobody moved back or let in by a forged header, and what does the edge cost?

On the local cluster's API server and gateway, with the bucketer's program and without pods (tests/cluster/routed.py).
The last line is JSON: users, steps, misrouted (of users times steps: another release than `serinus route` tells, or no
answer), moved_back, left_after_a_cut, spoofed, added_p50_ms and added_p99_ms (buckets against weight, requests in turn
in one run), bucketer_rps and bucketer_p99_ms (32 connections, from a second process, which is the slower of the two),
bucketer_rps_per_core (per second of a core that the bucketer had).

usage: python bench/routing.py [--users N] [--pairs N] [--seconds S]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from local import cluster, lock
from local.places import Network
from serinus.bucketer.config import Config
from serinus.rollout.cut import cut_of
from serinus.rollout.route import CANARY, Declared, route
from serinus.rollout.routing import Split, inner_host
from tests.cluster.routed import SALT, Routed, routed

LADDER = (5, 20, 50, 100)
CONNECTIONS = 32
_REQUEST = b"GET / HTTP/1.1\r\nHost: bucketer\r\nX-User-Id: user-%d\r\nAccept: */*\r\n\r\n"


def grow(place: Routed, users: Sequence[str]) -> dict[str, int]:
    """Take the users through the ladder and a cut; count what should not be."""
    declared = Declared(Split.model_validate(place.bucket()), LADDER, SALT)
    told = {user: route(declared, user).roles for user in users}
    misrouted = moved_back = 0
    before: set[str] = set()
    for weight in LADDER:
        place.split(place.bucket(), weight)
        answers = place.ask_all([[("X-User-Id", user)] for user in users])
        there = {user for user, answer in zip(users, answers, strict=True) if answer.release == "echo-v2"}
        expected = ["echo-v2" if told[user][weight] == CANARY else "echo-v1" for user in users]
        misrouted += sum(answer[:2] != (200, one) for answer, one in zip(answers, expected, strict=True))
        moved_back += len(before - there)
        print(f"{weight} %: {len(there)} of {len(users)} users on the canary", file=sys.stderr)
        before = there
    assert place.live
    place.cut(cut_of(place.live["Ingress/chat-canary"].inputs["metadata"]["annotations"]))
    left = sum(answer.release == "echo-v2" for answer in place.ask_all([[("X-User-Id", user)] for user in users]))
    return {"misrouted": misrouted, "moved_back": moved_back, "left_after_a_cut": left}


def spoof(place: Routed) -> int:
    """Count the forged requests that the canary answers."""
    place.split(place.bucket(), 5)
    names = ("X-User-Bucket", "x-user-bucket", "X-USER-BUCKET", "X_User_Bucket", "x_user_bucket")
    forged = [[(name, value)] for name in names for value in ("00", "04", "tester", "always")]
    forged += [[(name, "00"), ("X-User-Bucket", "01"), ("Connection", "X-User-Bucket")] for name in names]
    answers = place.ask_all(forged)
    inner = inner_host("chat", place.name)
    for headers in forged:
        answers += [place.ask(*headers, host=host) for host in (inner, inner.upper(), f"{inner}:80")]
        answers.append(place.ask(*headers, ("X-Forwarded-For", place.network.node), host=inner))
        answers.append(place.ask(*headers, ("X-Forwarded-Host", inner)))
    return sum(answer.release == "echo-v2" for answer in answers)


def added(network: Network, pairs: int) -> tuple[float, float]:
    """Return the milliseconds that the edge adds to the median and to the 99th percentile."""
    with routed(network, "bench-routing-a") as plain, routed(network, "bench-routing-b") as edged:
        plain.split({"by": "weight"}, 5)
        edged.split(edged.bucket(), 5)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for number in range(pairs + 50):
            for through_the_edge in (False, True) if number % 2 else (True, False):
                place = edged if through_the_edge else plain
                answer = place.ask(("X-User-Id", f"user-{number}"))
                assert answer.status == 200, answer
                if number >= 50:
                    seconds[through_the_edge].append(answer.seconds)
    cuts = {edge: statistics.quantiles(found, n=100) for edge, found in seconds.items()}
    return 1000 * (cuts[True][49] - cuts[False][49]), 1000 * (cuts[True][98] - cuts[False][98])


class Rate(NamedTuple):
    """Requests per second as a client saw it, per second of one core that the bucketer used, and the client's p99."""

    per_second: float
    per_core_second: float
    p99_ms: float


def rate(seconds: float) -> Rate:
    """Ask the bucketer's program, which is a process of its own, as fast as this one can."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(Config(SALT, header="X-User-Id", cookie="uid", tester_word="let-me-in").document())
        command = [sys.executable, "-m", "serinus.bucketer", str(config), "--host", "127.0.0.1", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bucketer:
            assert bucketer.stdout
            port = json.loads(bucketer.stdout.readline())["port"]
            found = asyncio.run(_load(port, seconds))
            used = _cpu_seconds(bucketer.pid)
            bucketer.terminate()
            bucketer.communicate()
    return Rate(len(found) / seconds, len(found) / used, 1000 * statistics.quantiles(found, n=100)[98])


def _cpu_seconds(pid: int) -> float:
    """What the process has had of the processors. On a busy machine that tells more than the clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _load(port: int, seconds: float) -> list[float]:
    found: list[float] = []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (started := time.perf_counter()) < end:
            writer.write(_REQUEST % number)
            assert b"X-User-Bucket" in await reader.readuntil(b"\r\n\r\n")
            found.append(time.perf_counter() - started)
            number += CONNECTIONS
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return found


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description="Who gets which release, and what it costs.")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    asked = rate(given.seconds)
    print(f"bucketer: {asked}", file=sys.stderr)
    with lock.held("make bench-routing"):
        network = cluster.up()
        p50_added, p99_added = added(network, given.pairs)
        with routed(network, "bench-routing") as place:
            counted = grow(place, [f"user-{number:05d}" for number in range(given.users)])
            spoofed = spoof(place)
    report = {
        "users": given.users,
        "steps": len(LADDER),
        **counted,
        "spoofed": spoofed,
        "added_p50_ms": round(p50_added, 2),
        "added_p99_ms": round(p99_added, 2),
        "bucketer_rps": round(asked.per_second),
        "bucketer_rps_per_core": round(asked.per_core_second),
        "bucketer_p99_ms": round(asked.p99_ms, 2),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
