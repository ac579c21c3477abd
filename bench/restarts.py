"""Does a rolling restart cost anybody an answer? Load through the gateway while the pods are replaced, three times.

Half of the requests are streams that take about a second, so each restart meets answers on their way. A stream
counts as truncated unless it ends as OpenAI's streams end. The last line is JSON: requests, failed, truncated,
restarts, requests_per_second, seconds.

usage: python bench/restarts.py [--requests N] [--per-second N] [--restarts N]
"""

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3
import yaml

from local import cluster, kubernetes, lock
from tests.cluster.conftest import Project

STACK = "bench-restarts"
DEPLOYMENT = "deployment/chat-echo-v1"
ROLLOUT_SECONDS = 180
WORDS = "tell me of the sea and of the ships that come back in the evening with their lamps lit"
# The local gateway breaks a stream that begins in the millisecond in which it passes on the question's last byte (Go's
# reverse proxy then takes its own reading for an error), restart or not. No model begins so soon.
FIRST_DELAY_MS = 20
TOKEN_DELAY_MS = 50


class Load:
    """Users of the service; every answer is one word in `outcomes`."""

    def __init__(self, url: str, host: str) -> None:
        self._url = url
        self._headers = {"Host": host, "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(maxsize=256, block=True, retries=False, timeout=30.0)
        self._lock = threading.Lock()
        self.outcomes: Counter[str] = Counter()

    def one(self, number: int) -> None:
        """Ask once, streamed or whole by turns."""
        kind, ask = ("stream", self._stream) if number % 2 else ("whole", self._whole)
        asked = time.monotonic()
        try:
            outcome = ask()
        except urllib3.exceptions.HTTPError as error:
            outcome = f"failed: {kind}, {type(error).__name__}: {error}"
        if outcome != "ok":
            print(f"{time.strftime('%X')} after {time.monotonic() - asked:.2f} s: {outcome}", flush=True)
        with self._lock:
            self.outcomes[outcome] += 1

    def _whole(self) -> str:
        reply = self._pool.request(
            "POST", f"{self._url}/chat", body=json.dumps({"prompt": WORDS}), headers=self._headers
        )
        return "ok" if reply.status == 200 else f"failed: status {reply.status}"

    def _stream(self) -> str:
        body = {"model": "default", "stream": True, "messages": [{"role": "user", "content": WORDS}]}
        reply = self._pool.request(
            "POST",
            f"{self._url}/v1/chat/completions",
            body=json.dumps(body),
            headers=self._headers,
            preload_content=False,
        )
        if reply.status != 200:
            reply.drain_conn()
            return f"failed: status {reply.status}"
        text = b"".join(reply.stream())
        reply.release_conn()
        events = [line for line in text.decode().split("\n\n") if line]
        # An answer may end by its limit of tokens; a broken one has no reason at all.
        ended = re.search(rb'"finish_reason": ?"(stop|length)"', text)
        return "ok" if events[-1:] == ["data: [DONE]"] and ended else "truncated"


def drive(load: Load, requests: int, per_second: float) -> None:
    """Send each request at its own time, whether or not earlier ones were answered."""
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=256) as pool:
        for number in range(requests):
            time.sleep(max(0.0, started + number / per_second - time.monotonic()))
            pool.submit(load.one, number)


def until_answered(load: Load) -> None:
    """Wait until the gateway knows the host; what it says before is not counted. A minute is enough."""
    deadline = time.monotonic() + 60
    while load.outcomes["ok"] < 2:  # one of each kind
        load.outcomes.clear()
        for number in range(2):
            load.one(number)
        assert time.monotonic() < deadline, load.outcomes
        time.sleep(0.2)
    load.outcomes.clear()


def restart(namespace: str) -> float:
    """Replace all pods; return the seconds that it took."""
    began = time.monotonic()
    kubernetes.kubectl("-n", namespace, "rollout", "restart", DEPLOYMENT)
    limit = f"--timeout={ROLLOUT_SECONDS}s"
    kubernetes.kubectl("-n", namespace, "rollout", "status", DEPLOYMENT, limit, timeout=ROLLOUT_SECONDS + 10)
    return time.monotonic() - began


def measure(project: Project, requests: int, per_second: float, restarts: int) -> dict[str, object]:
    """Deploy, load, restart."""
    release = project.folder / "releases" / "echo-v1.yaml"
    document = yaml.safe_load(release.read_text())
    document["options"] |= {"delay_ms": FIRST_DELAY_MS, "token_delay_ms": TOKEN_DELAY_MS}
    release.write_text(yaml.safe_dump(document))
    project.create(canary=None, weight=None)
    deployed = project.stack.up()
    if not deployed.ok:
        sys.exit(deployed.output)
    load = Load(project.url, project.host)
    until_answered(load)
    began = time.monotonic()
    driver = threading.Thread(target=drive, args=(load, requests, per_second))
    driver.start()
    done = 0
    while done < restarts and driver.is_alive():
        time.sleep(5)  # some traffic between two restarts
        print(
            f"restart {done + 1}: {restart(project.name):.1f} s, {sum(load.outcomes.values())} answers so far",
            flush=True,
        )
        done += 1
    driver.join()
    seconds = time.monotonic() - began
    for outcome, count in load.outcomes.most_common():
        print(f"{count:>7} {outcome}")
    answers = sum(load.outcomes.values())
    truncated = load.outcomes["truncated"]
    return {
        "requests": answers,
        "failed": answers - load.outcomes["ok"] - truncated,
        "truncated": truncated,
        "restarts": done,
        "requests_per_second": round(answers / seconds, 1),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--per-second", type=float, default=60.0)
    parser.add_argument("--restarts", type=int, default=3)
    arguments = parser.parse_args()
    with lock.held("make bench-restarts"), tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / STACK, STACK, cluster.up())
        try:
            result = measure(project, arguments.requests, arguments.per_second, arguments.restarts)
        finally:
            project.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
