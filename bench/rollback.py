"""From the first failed answer to the last request on the canary: how fast is a broken canary off the users?

One stack on the local cluster with the agent at its default settings. Each run puts the canary at 20 %, sends 10
requests a second, lets it be healthy for a while and then fail every request. Between the runs the hold is resumed as a
person does it, and the weight is raised by breaking the glass, so no pod is replaced. After that webhooks cut a healthy
canary, each timed from its sending until the gateway routes nothing to the canary. The last line is JSON:
fault_to_zero_median_s and fault_to_zero_worst_s (from the first failed answer to the last request that reached the
canary), failed_answers_median, webhook_to_zero_p99_s, webhook_answered_p99_s (the demand stands in the cluster), runs,
webhooks.

usage: python bench/rollback.py [--runs N] [--webhooks N] [--healthy SECONDS]
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local import cluster, gateway, lock
from local.alongside import alongside
from local.traffic import Answer, Client
from serinus.cli.cluster import bring_up
from serinus.rollout.share import WEIGHT
from tests.cluster.agents import WEIGHT_ON_TRIAL, Watched
from tests.cluster.conftest import Project

STACK = "bench-rollback"
PER_SECOND = 10.0
_SECONDS = 60.0


@dataclass
class Load:
    """Answers with the moments at which they were asked for and came."""

    answers: list[tuple[float, float, Answer]] = field(default_factory=list)

    def on_the_canary(self) -> list[tuple[float, float, Answer]]:
        """What reached the canary: its answers, and whatever failed."""
        return [one for one in self.answers if one[2].failed or one[2].release.startswith("echo-drill")]


@contextmanager
def sending(client: Client) -> Iterator[Load]:
    """Send requests at a steady pace, each at its own time whatever became of the last."""
    load = Load()

    def one(number: int) -> None:
        asked = time.monotonic()
        answer = client.ask(f"user-{number % 1000:03d}", "hello")
        load.answers.append((asked, time.monotonic(), answer))

    def drive(ended: threading.Event) -> None:
        began, number = time.monotonic(), 0
        with ThreadPoolExecutor(max_workers=32) as pool:
            while not ended.wait(max(0.0, began + number / PER_SECOND - time.monotonic())):
                pool.submit(one, number)
                number += 1

    with alongside(drive):
        yield load


def raise_weight(watched: Watched) -> None:
    """Put the canary on trial by breaking the glass, and wait until gateway and agent know."""
    change = {"metadata": {"annotations": {WEIGHT: str(WEIGHT_ON_TRIAL)}}}
    raised = watched.rescuer.patch(watched.ingress_path, change)
    assert raised.ok, raised.message
    gateway.wait_for_weight(STACK, "chat", WEIGHT_ON_TRIAL, _SECONDS)
    watched.until(lambda: watched.status.get("weight") == WEIGHT_ON_TRIAL)


def fail_once(watched: Watched, healthy: float) -> tuple[float, int]:
    """Break the canary under load; seconds from the first failed answer to the canary's last request, and failures."""
    raise_weight(watched)
    with sending(watched.project.client(32)) as load:
        time.sleep(healthy)
        watched.break_canary()
        watched.wait_for_the_cut()
        time.sleep(2.0)
    failures = sorted(came for _, came, answer in load.answers if answer.failed)
    last = max(asked for asked, _, _ in load.on_the_canary())
    watched.break_canary(broken=False)
    watched.resume()
    return max(last - failures[0], 0.0), len(failures)


def demand_once(watched: Watched) -> tuple[float, float]:
    """Demand a rollback; seconds until the gateway routes nothing to the canary, and until the demand is answered."""
    raise_weight(watched)
    began = time.monotonic()

    def ask() -> float:
        assert watched.demand_rollback("the benchmark says so") == 202
        return time.monotonic() - began

    # The answer waits for the hold as well; the gateway does not wait for the answer.
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(ask)
        while gateway.weight_seen(STACK, "chat") != 0:
            assert time.monotonic() - began < _SECONDS
            time.sleep(0.005)
        seconds = time.monotonic() - began
        answered = answer.result()
    watched.wait_for_the_cut()
    watched.resume()
    return seconds, answered


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that so many percent do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100.0) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--webhooks", type=int, default=50)
    parser.add_argument("--healthy", type=float, default=10.0, help="seconds before the canary breaks")
    chosen = parser.parse_args()
    cluster.require_root()
    with lock.held("bench-rollback"), tempfile.TemporaryDirectory() as folder:
        network = bring_up()
        project = Project(Path(folder) / STACK, STACK, network)
        watched = Watched(project)
        selected = project.stack.select()
        assert selected.ok, selected.output
        try:
            watched.declare()
            seconds, failed = [], []
            for number in range(chosen.runs):
                took, failures = fail_once(watched, chosen.healthy)
                print(f"run {number + 1}: {took:.2f} s, {failures} failed answers", file=sys.stderr, flush=True)
                seconds.append(took)
                failed.append(failures)
            webhooks, answers = [], []
            for number in range(chosen.webhooks):
                took, answered = demand_once(watched)
                print(f"webhook {number + 1}: {took:.3f} s, answered {answered:.3f} s", file=sys.stderr, flush=True)
                webhooks.append(took)
                answers.append(answered)
        finally:
            project.close()
    figures = {
        "fault_to_zero_median_s": round(statistics.median(seconds), 2) if seconds else None,
        "fault_to_zero_worst_s": round(max(seconds), 2) if seconds else None,
        "failed_answers_median": statistics.median(failed) if failed else None,
        "webhook_to_zero_p99_s": round(percentile(webhooks, 99), 3) if webhooks else None,
        "webhook_answered_p99_s": round(percentile(answers, 99), 3) if answers else None,
        "runs": len(seconds),
        "webhooks": len(webhooks),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
