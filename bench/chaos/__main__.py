"""Whatever goes wrong while a canary is cut: is it cut, held and written down, and did nobody else notice?

One stack on the local cluster, users at 10 requests a second, the real agent. After each scenario the end is looked at
where it counts: the Ingress and the hold on the API server, the one entry that the cut has in the ledger and the chain
of all entries, and the gateway's own counters, which must not count one more request on the canary. A request that
failed although nothing was broken is lost, and so is a cut without an entry.

The agent is killed 20 times, aimed at each step of a cut; `killed` says how far it had come. The pure test beside this,
tests/agent/test_rollout.py, kills it before each request of one. The last line is JSON: scenarios, plays, failed (their
names), lost, killed, seconds.

usage: python -m bench.chaos [--only WORDS…] [--times N] [--seed N]
"""

import argparse
import json
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bench.chaos import killing, meddling, misleading
from bench.chaos.odd_prometheus import OddPrometheus
from bench.chaos.play import LostError, play
from bench.chaos.replicas import Replicas
from bench.chaos.stage import Stage
from bench.trial import watched_stack
from local import cluster, engine, lock
from local.places import Network
from serinus.cli.cluster import bring_up
from tests.cluster.guarded import serinus

STACK = "bench-chaos"
SCENARIOS = (*killing.SCENARIOS, *misleading.SCENARIOS, *meddling.SCENARIOS)


@contextmanager
def staged(network: Network, seed: int) -> Iterator[Stage]:
    """Bring a stack up whose agent asks a Prometheus that can be told what to say."""
    with (
        OddPrometheus(str(network.host)) as prometheus,
        watched_stack(STACK, network, {"prometheus": prometheus.url}) as watched,
    ):
        chance = random.Random(seed)  # noqa: S311 (no secret)
        yield Stage(watched, network, Replicas(watched), prometheus, chance, Counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    only = "scenarios with such words in the name"
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORDS", help=only)
    parser.add_argument("--times", type=int, help="how often each is tried; without it some are tried more than once")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    scenarios = [one for one in SCENARIOS if any(words in one.name for words in chosen.only)]
    if not scenarios:
        parser.error(f"--only fits none of: {'; '.join(one.name for one in SCENARIOS)}")
    cluster.require_root()
    started, plays, lost = time.monotonic(), 0, 0
    failed: list[str] = []
    with lock.held("bench-chaos"):
        network = bring_up()
        os.environ.update(engine.environment())
        with staged(network, chosen.seed) as stage:
            for scenario in scenarios:
                began, told = time.monotonic(), "ok"
                try:
                    for _ in range(chosen.times or scenario.times):
                        plays += 1
                        play(scenario, stage)
                except Exception as error:  # whatever it is, it is told and counted, and the others are played
                    traceback.print_exc()
                    told = "FAILED"
                    failed.append(scenario.name)
                    lost += error.count if isinstance(error, LostError) else 0
                print(f"{told}: {scenario.name}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            verified = serinus("ledger", "verify", "chat", "-n", STACK)
            if verified.returncode or (not failed and len(stage.cuts()) != plays):
                failed.append(f"the ledger: {len(stage.cuts())} cuts of {plays}; {verified.stdout}")
    found = {"scenarios": len(scenarios), "plays": plays, "failed": failed, "lost": lost, "killed": stage.killed}
    print(json.dumps({**found, "seconds": round(time.monotonic() - started)}))
    sys.exit(1 if failed or lost else 0)


if __name__ == "__main__":
    main()
