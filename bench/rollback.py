"""From the first failed answer to the last request on the canary: how fast is a broken canary off the users?

One stack on the local cluster with the agent at its default settings. Each run puts the canary at 20 %, sends 10
requests a second, lets it be healthy for a while and then fail every request. Between the runs the hold is resumed as a
person does it, and the weight is raised by breaking the glass, so no pod is replaced. After that webhooks cut a healthy
canary, each timed from its sending until the gateway routes nothing to the canary. The last line is JSON:
fault_to_zero_median_s and fault_to_zero_worst_s (from the first failed answer to the last request that reached the
canary), failed_answers_median, webhook_to_zero_p99_s, webhook_answered_p99_s (the demand stands in the cluster), runs,
webhooks.

With --against, other controllers have the same done to them: `against` has of each its fault_to_zero_s and their
median, and `healthy_rolled_back` the share of simulated hours in which each of their rules, and the judge, rolls a
healthy canary back (bench/against/healthy.py).

usage: python bench/rollback.py [--runs N] [--webhooks N] [--healthy SECONDS] [--against argo,flagger]
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.against.healthy import rolled_back
from bench.against.race import RIVALS, seconds_to_zero
from bench.load import sending
from bench.trial import resume, watched_stack
from local import cluster, engine, gateway, lock
from local.places import Network
from serinus.cli.cluster import bring_up
from tests.cluster.agents import Watched

STACK = "bench-rollback"
RUNS_AGAINST = 3
HEALTHY_HOURS = 100
_SECONDS = 60.0


def fail_once(watched: Watched, healthy: float) -> tuple[float, int]:
    """Break the canary under load; seconds from the first failed answer to the canary's last request, and failures."""
    watched.rise_at_once()
    with sending(watched.project.client(32), "echo-drill") as load:
        time.sleep(healthy)
        watched.break_canary()
        watched.wait_for_the_cut()
        time.sleep(2.0)  # what is under way still answers, and whoever comes now must not reach the canary
    watched.break_canary(broken=False)
    resume(watched)
    return load.fault_to_zero, len(load.failures)


def demand_once(watched: Watched) -> tuple[float, float]:
    """Demand a rollback; seconds until the gateway routes nothing to the canary, and until the demand is answered."""
    watched.rise_at_once()
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
    resume(watched)
    return seconds, answered


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that so many percent do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100.0) - 1]


def measure(network: Network, runs: int, number_of_webhooks: int, healthy: float) -> dict[str, object]:
    """Cut canaries of a stack of its own; the figures by name."""
    with watched_stack(STACK, network) as watched:
        seconds, failed = [], []
        for number in range(runs):
            took, failures = fail_once(watched, healthy)
            print(f"run {number + 1}: {took:.2f} s, {failures} failed answers", file=sys.stderr, flush=True)
            seconds.append(took)
            failed.append(failures)
        webhooks, answers = [], []
        for number in range(number_of_webhooks):
            took, answered = demand_once(watched)
            print(f"webhook {number + 1}: {took:.3f} s, answered {answered:.3f} s", file=sys.stderr, flush=True)
            webhooks.append(took)
            answers.append(answered)
    return {
        "fault_to_zero_median_s": round(statistics.median(seconds), 2) if seconds else None,
        "fault_to_zero_worst_s": round(max(seconds), 2) if seconds else None,
        "failed_answers_median": statistics.median(failed) if failed else None,
        "webhook_to_zero_p99_s": round(percentile(webhooks, 99), 3) if webhooks else None,
        "webhook_answered_p99_s": round(percentile(answers, 99), 3) if answers else None,
        "runs": len(seconds),
        "webhooks": len(webhooks),
    }


def measure_against(network: Network, names: list[str], healthy: float) -> dict[str, object]:
    """Have the same done to other controllers, one after the other."""
    found: dict[str, object] = {}
    for name in names:
        seconds = seconds_to_zero(RIVALS[name], network, RUNS_AGAINST, healthy)
        median = round(statistics.median(seconds), 2)
        found[name] = {"fault_to_zero_s": [round(one, 2) for one in seconds], "median": median}
    if not found:
        return {}
    every = {name: round(RIVALS[name].interval) for name in names}
    return {"against": found, "healthy_rolled_back": rolled_back(HEALTHY_HOURS, every), "healthy_hours": HEALTHY_HOURS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--webhooks", type=int, default=50)
    parser.add_argument("--healthy", type=float, default=10.0, help="seconds before the canary breaks")
    parser.add_argument("--against", type=lambda text: text.split(","), default=[], metavar="NAME,…")
    chosen = parser.parse_args()
    unknown = set(chosen.against) - set(RIVALS)
    if unknown:
        parser.error(f"--against {','.join(sorted(unknown))} is not allowed; allowed: {', '.join(RIVALS)}")
    cluster.require_root()
    with lock.held("bench-rollback"):
        network = bring_up()
        os.environ.update(engine.environment())
        own = chosen.runs or chosen.webhooks
        figures = measure(network, chosen.runs, chosen.webhooks, chosen.healthy) if own else {}
        figures |= measure_against(network, chosen.against, chosen.healthy)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
