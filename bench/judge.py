"""How often does the judge fail a healthy canary, how soon a bad one? By simulation, with the judge's own code.

Each run is an hour of requests, with a look every 15 seconds, after 15 minutes of the stable alone. A cell is a rate of
requests, a weight and how both arms behave. In the healthy cells every failure is a false rollback. "max" is over
cells. The last line is JSON: false_rollback_max, detect_1_to_10_min (median minutes at 20 requests/s and weight 5),
broken_to_failed_s (median seconds at 10 requests/s and weight 20, after 10 healthy minutes), cells,
look_1000_services_cpu_s.

usage: python bench/judge.py [--runs N] [--seed N] [--jobs N]
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from serinus.rollout.evidence import Arms, Look, Tally
from serinus.rollout.judge import STANDARD, begin, judge, look

HOUR = 3600.0
START = datetime(2026, 1, 1, tzinfo=UTC)

# The share of bad requests of the canary and of the stable, drawn anew for each look.
Shares = Callable[[Random, float], tuple[float, float]]


def steady(canary: float, stable: float) -> Shares:
    """Shares that do not change."""
    return lambda random, at: (canary, stable)


def bursts(share: float) -> Shares:
    """Each arm's share is drawn per look around `share`, which ties the requests of a look together (1 in 21)."""
    return lambda random, at: (
        random.betavariate(20 * share, 20 * (1 - share)),
        random.betavariate(20 * share, 20 * (1 - share)),
    )


def outage(usual: float, failing: float) -> Shares:
    """Both arms fail from minute 25 to 35."""
    return lambda random, at: (failing, failing) if 1500 <= at < 2100 else (usual, usual)


def breaking(at_seconds: float) -> Shares:
    """Neither arm ever fails, until the canary fails every request."""
    return lambda random, at: (float(at >= at_seconds), 0.0)


def slower(times: float) -> Shares:
    """Lognormal latency with P95 0.8 s on the stable; the canary's is `times` as long.

    Bad is over 1.5 · 0.8 s on the canary and over 0.8 s on the stable: that asks whether the canary's P95 is at most
    1.5 times the stable's.
    """
    normal = statistics.NormalDist(math.log(0.8) - 0.7 * statistics.NormalDist().inv_cdf(0.95), 0.7)
    return steady(1 - normal.cdf(math.log(1.2 / times)), 0.05)


NEVER = steady(0.0, 0.0)
USUALLY_SLOW = slower(1.0)


@dataclass(frozen=True)
class Cell:
    """One situation: requests per second over both arms, the canary's part of them, and how the arms behave."""

    name: str
    rate: float
    weight: float
    healthy: bool
    errors: Shares = NEVER
    slow: Shares = USUALLY_SLOW
    history_seconds: float = 900.0
    look_seconds: float = 15.0
    breaks_at: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What the judge did with a cell: minutes until each failed run failed."""

    runs: int
    minutes: list[float] = field(default_factory=list)

    @property
    def failed(self) -> float:
        """The share of runs that the judge failed."""
        return len(self.minutes) / self.runs

    @property
    def median_minutes(self) -> float:
        """The median over all runs; infinite if fewer than half failed."""
        return statistics.median([*self.minutes, *[math.inf] * (self.runs - len(self.minutes))])


def cells() -> list[Cell]:
    """Return every situation of the benchmark."""
    found = []
    for rate in (1, 5, 20, 50):
        for weight in (0.05, 0.2):
            for usual in (0.01, 0.001, 0.0):
                found.append(Cell(f"{usual:.1%} errors on both", rate, weight, True, steady(usual, usual)))
            found.append(Cell("errors 1 % → 1.5 %, as tolerated", rate, weight, True, steady(0.015, 0.01)))
            found.append(Cell("bursts around 1 %", rate, weight, True, bursts(0.01)))
            found.append(
                Cell("bursts around 1 %, nothing seen before", rate, weight, True, bursts(0.01), history_seconds=0)
            )
            found.append(Cell("outage of both, 30 %", rate, weight, True, outage(0.01, 0.3)))
            found.append(Cell("P95 times 1.5, as tolerated", rate, weight, True, slow=slower(1.5)))
    for rate, weight in ((5, 0.05), (20, 0.05), (50, 0.2)):
        for share in (0.02, 0.05, 0.1, 0.3, 1.0):
            found.append(Cell(f"errors 1 % → {share:.0%}", rate, weight, False, steady(share, 0.01)))
        found.append(Cell("P95 times 2", rate, weight, False, slow=slower(2.0)))
    for breaks_at in (0.0, 600.0):
        name = f"all answers fail after {breaks_at / 60:.0f} min of none, looks of 1 s"
        errors = breaking(breaks_at)
        found.append(Cell(name, 10, 0.2, False, errors, NEVER, look_seconds=1.0, breaks_at=breaks_at))
    return found


def poisson(random: Random, mean: float) -> int:
    """Draw a Poisson number: halve large means by a gamma variable, count arrivals of small ones."""
    count = 0
    while mean > 16:
        some = int(mean * 7 / 8)
        arrival = random.gammavariate(some, 1.0)
        if arrival > mean:
            return count + binomial(random, some - 1, mean / arrival)
        count, mean = count + some, mean - arrival
    limit, product = math.exp(-mean), random.random()
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def binomial(random: Random, tries: int, share: float) -> int:
    """Draw a binomial number: split many tries at a beta variable, count few of them."""
    count = 0
    while tries > 16:
        middle = tries // 2 + 1
        split = random.betavariate(middle, tries + 1 - middle)
        if split <= share:
            count, tries, share = count + middle, tries - middle, (share - split) / (1 - split)
        else:
            tries, share = middle - 1, share / split
    return count + sum(random.random() < share for _ in range(tries))


def run(cell: Cell, random: Random) -> float | None:
    """Simulate one hour; return the minutes until the judge failed the canary (from its break on), or None."""
    trial = begin(STANDARD, START)
    at = -cell.history_seconds
    while at < HOUR:
        weight = cell.weight if at >= 0 else 0.0
        arms = {}
        totals = [poisson(random, cell.rate * cell.look_seconds * part) for part in (weight, 1 - weight)]
        for name, shares in (("errors", cell.errors), ("slow", cell.slow)):
            drawn = zip(totals, shares(random, at), strict=True)
            arms[name] = Arms(*(Tally(total, binomial(random, total, share)) for total, share in drawn))
        at += cell.look_seconds
        trial = look(STANDARD, trial, Look(cell.look_seconds, arms), START + timedelta(seconds=at))
        if trial.failed:
            return (at - cell.breaks_at) / 60
    return None


def outcome(task: tuple[int, int, int]) -> Outcome:
    """Run a cell, given by its place among `cells()`, so many times."""
    place, runs, seed = task
    random = Random(f"{seed} {place}")  # noqa: S311 (a simulation that can be repeated)
    found = [run(cells()[place], random) for _ in range(runs)]
    return Outcome(runs, [minutes for minutes in found if minutes is not None])


def look_cpu_seconds(services: int) -> float:
    """Return the CPU seconds of one look and one verdict for each of so many services."""
    arms = {"errors": Arms(Tally(15, 1), Tally(285, 3)), "slow": Arms(Tally(15, 1), Tally(285, 15))}
    trials = [begin(STANDARD, START)] * services
    for _ in range(2):  # the second look has all the state that a look can have
        started = time.process_time()
        trials = [look(STANDARD, trial, Look(15.0, arms), START) for trial in trials]
        for trial in trials:
            judge(STANDARD, trial, START)
    return time.process_time() - started


def main() -> None:
    """Run all cells and print a line for each."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=1000, help="simulated hours per cell")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, one for each core by default")
    chosen = options.parse_args()
    cpu = look_cpu_seconds(1000)
    worst, found = 0.0, {}
    tasks = [(place, chosen.runs, chosen.seed) for place in range(len(cells()))]
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for cell, result in zip(cells(), pool.map(outcome, tasks), strict=True):
            if cell.healthy:
                worst = max(worst, result.failed)
            found[cell.name, cell.rate] = result.median_minutes
            print(
                f"{cell.rate:>3} requests/s, weight {cell.weight:>4.0%}, {cell.name}:"
                f" failed {result.failed:.1%} of {result.runs}, median {result.median_minutes:.2f} min",
                flush=True,
            )
    summary = {
        "false_rollback_max": round(worst, 4),
        "detect_1_to_10_min": found["errors 1 % → 10%", 20],
        "broken_to_failed_s": round(60 * found["all answers fail after 10 min of none, looks of 1 s", 10], 1),
        "cells": len(tasks),
        "look_1000_services_cpu_s": round(cpu, 3),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
