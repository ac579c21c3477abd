"""How many buckets a second does one core give, and how long does each take?

An open loop: requests are due at a fixed rate, on 32 kept connections, and each is timed from the moment at which it
was due, not from the one at which it could be sent. So a server that stalls is charged for all who waited meanwhile. A
closed loop asks only as fast as it is answered: it tells the rate at which somebody is always waiting, and no latency.

The bucketer's program is pinned to one core and the driver, which never sleeps, to another: a driver on the same core
would measure itself. The last line is JSON: bucketer_rps (the highest of RATES that was kept with a p99 of at most 5
ms, 0 for none), bucketer_p50_ms and bucketer_p99_ms at 3,000 requests a second, bucketer_rps_per_core (requests per
second of processor time that the bucketer had, at the highest rate), cores_apart (whether driver and bucketer had a
core each).

usage: python bench/bucketer.py [--seconds S]
"""

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from serinus.bucketer.config import Config

RATES = (3_000, 4_000, 5_000, 6_000, 8_000)
"""Offered, in requests per second. The first is the one that must be kept."""
MOST_P99_MS = 5.0
CONNECTIONS = 32
_WARM_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0
# As a gateway's auth request is: nine headers that are of no use, and one that is.
_REQUEST = (
    b"GET /.serinus/serinus/chat/bucket HTTP/1.1\r\nHost: 10.0.3.4\r\nUser-Agent: openai-python/2.0\r\n"
    b"X-User-Id: user-%d\r\nX-Forwarded-For: 10.0.9.7\r\nX-Forwarded-Host: chat.example.com\r\n"
    b"X-Forwarded-Method: POST\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Uri: /v1/chat/completions\r\nAccept-Encoding: gzip\r\n\r\n"
)


class Measured(NamedTuple):
    """One rate: what was offered and answered per second, how long it took, and the processor's time for it."""

    offered: int
    answered: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def kept(self) -> bool:
        """Whether the rate was kept up with, within the bar."""
        return self.answered >= 0.99 * self.offered and self.p99_ms <= MOST_P99_MS


def measure(seconds: float) -> dict[str, float | bool]:
    """Return what the last line says. Raises AssertionError for an answer without a bucket."""
    mine, *others = sorted(os.sched_getaffinity(0))
    found = []
    with _bucketer() as (pid, port):
        before = os.sched_getaffinity(0)
        if others:
            os.sched_setaffinity(pid, {mine})
            os.sched_setaffinity(0, set(others))
        try:
            _offer(port, RATES[0], _WARM_SECONDS)
            for rate in RATES:
                used = _cpu_seconds(pid)
                latencies, took = _offer(port, rate, seconds)
                cuts = statistics.quantiles(latencies, n=100)
                used = _cpu_seconds(pid) - used
                found.append(Measured(rate, len(latencies) / took, 1000 * cuts[49], 1000 * cuts[98], used))
                print(found[-1], file=sys.stderr)
                if not found[-1].kept:
                    break
        finally:
            os.sched_setaffinity(0, before)
    last = found[-1]
    return {
        "bucketer_rps": max((one.offered for one in found if one.kept), default=0),
        "bucketer_p50_ms": round(found[0].p50_ms, 2),
        "bucketer_p99_ms": round(found[0].p99_ms, 2),
        "bucketer_rps_per_core": round(last.answered * seconds / last.cpu_seconds),
        "cores_apart": bool(others),
    }


def _offer(port: int, rate: int, seconds: float) -> tuple[list[float], float]:
    """Ask at a rate; return each answer's seconds since it was due, and how long all took."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        known = {}
        for _ in range(CONNECTIONS):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(one, select.EPOLLIN)
            known[one.fileno()] = one
        idle, due_of = deque(known), dict.fromkeys(known, 0.0)
        total, sent, found = int(rate * seconds), 0, list[float]()
        start = time.perf_counter()
        while len(found) < total:
            now = time.perf_counter()
            assert now < start + seconds + _PATIENCE_SECONDS, f"{len(found)} of {total} answers at {rate} a second"
            while idle and sent < total and (due := start + sent / rate) <= now:
                chosen = idle.popleft()
                known[chosen].send(_REQUEST % sent)
                due_of[chosen] = due
                sent += 1
            for descriptor, _ in poll.poll(0):
                answer = known[descriptor].recv(4096)
                found.append(time.perf_counter() - due_of[descriptor])
                assert b"X-User-Bucket: " in answer, answer
                idle.append(descriptor)
        return found, time.perf_counter() - start


@contextmanager
def _bucketer() -> Iterator[tuple[int, int]]:
    """Run the program, as its pod does; yield its process id and its port."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        told = Config("a salt for the bench only", header="X-User-Id", cookie="uid", tester_word="let-me-in")
        config.write_text(told.document())
        command = [sys.executable, "-m", "serinus.bucketer", str(config), "--host", "127.0.0.1", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                yield process.pid, json.loads(process.stdout.readline())["port"]
            finally:
                process.terminate()
                process.communicate()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Buckets per second on one core, and how long each takes.")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each rate")
    print(json.dumps(measure(parser.parse_args().seconds)))


if __name__ == "__main__":
    main()
