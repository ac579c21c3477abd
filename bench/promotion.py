"""A whole rollout by `serinus promote` under load: what it costs the users, and what it costs the operator.

On the local cluster, with the real gateway, the real agent as judge, and the fast ladder: 5 → 20 → 50 → 100, the swap,
the way back, once more up and over, and the old release gone. 20 requests a second of 1,000 users go on all the while.
Then a second rollout is rolled back by hand, several times, and what a rollback promises is tried: a plain `pulumi up`
changes nothing live, `--converge` brings the number down, and the next release begins at the first rung.

With --kills N the promoter is killed N times at random moments of both climbs, alone or with its engine, and started
anew. Without a kill the whole takes 4 minutes, 20 kills take 4 more. The last line is JSON:

failed, requests: answers that were none, and all of both climbs; moved_back: users who had the canary and lost it again
before the swap; steps: the weights that the gateway served, in order, for each climb; swap_restarts: pods that a swap
started or restarted; back_s: seconds of the way back; step_overhead_s: from the moment at which the rules allow
a step (or the promoter starts) to the gateway that serves it, the median, and the worst beside it;
manual_rollback_s: from the key to zero at the gateway, the worst; ledger_complete: every step, swap and cut of the
gateway stands in the ledger exactly once, and the ledger is whole; kills, seed.

usage: python bench/promotion.py [--kills N] [--seed N] [--climbs N] [--rollbacks N]
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from local import cluster, engine, gateway, kubernetes, lock
from local.alongside import alongside
from local.processes import kill_tree
from local.traffic import Answer, background
from serinus.cli.cluster import bring_up
from serinus.rollout.canary_release import API_VERSION
from serinus.rollout.cut import MANAGER
from serinus.rollout.patterns import percent
from serinus.rollout.profile import PROFILES
from tests.cluster.api import Api
from tests.cluster.conftest import Project

STACK = "bench-promotion"
PER_SECOND = 20.0
RUNGS = [int(rung["weight"]) for rung in PROFILES["fast"]]
# By user, so that it can be told whether one of them is moved back.
SPLIT = {"by": "tail", "header": "X-User-Id", "digits": 2}
# At 5 % of 20 requests/s, and with the usual limit, a pass would take minutes that say nothing of the promoter.
OBJECTIVES = {"errors": {"limit": 0.5}}
PODS = "N:.metadata.name,U:.metadata.uid,R:.status.containerStatuses[0].restartCount"
HERE = ("chat", "-n", STACK)
_SECONDS = 600.0


@dataclass
class Watcher:
    """What the gateway served and what the rules allowed, each with its moment. Both only when they change."""

    served: list[tuple[float, int]] = field(default_factory=list)
    allowed: list[tuple[float, int, int]] = field(default_factory=list)

    def look(self, api: Api) -> None:
        """Look once; a gateway or a server that is busy is seen at the next look."""
        path = f"/apis/{API_VERSION}/namespaces/{STACK}/canaryreleases/chat"
        status = api.get(path).document.get("status", {})
        weight, now = served(), time.monotonic()
        if not self.served or self.served[-1][1] != weight:
            self.served.append((now, weight))
        seen = (int(status.get("weight", 0)), int(status.get("allowedWeight", 0)))
        if not self.allowed or self.allowed[-1][1:] != seen:
            self.allowed.append((now, *seen))

    def steps(self, since: float) -> list[tuple[float, int, int]]:
        """The rises since a moment: when the gateway served them, from where, to where."""
        return [(at, old, new) for (_, old), (at, new) in pairwise(self.served) if at >= since and new > old]

    def moves(self) -> list[tuple[int, int]]:
        """Every change of the weight, in order."""
        weights = [weight for _, weight in self.served]
        return list(pairwise(weights))

    def until_served(self, weight: int) -> None:
        """Wait until the gateway serves a weight."""
        self._until(lambda: bool(self.served) and self.served[-1][1] == weight)

    def until_allowed(self, weight: int) -> None:
        """Wait until the rules allow a weight."""
        self._until(lambda: bool(self.allowed) and self.allowed[-1][2] >= weight)

    def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not true():
            assert time.monotonic() < deadline, (self.served, self.allowed)
            time.sleep(0.05)

    def overheads(self, since: float) -> list[float]:
        """For each rise since the start of a promoter: the seconds from its permission to the gateway."""
        found = []
        for at, old, new in self.steps(since):
            times = [one for one, weight, most in self.allowed if weight == old and most >= new and one <= at]
            arrived = max(one for one, weight in self.served if weight == old and one <= at)
            first = min((one for one in times if one >= arrived), default=since)
            found.append(at - max(since, first))
        return found


@contextmanager
def watched() -> Iterator[Watcher]:
    """Look ten times a second until the block ends."""
    watcher = Watcher()

    def drive(ended: threading.Event) -> None:
        api = Api()
        while not ended.wait(0.1):
            try:
                watcher.look(api)
            except (OSError, ValueError):
                continue

    with alongside(drive):
        yield watcher


class Kills:
    """Deaths to deal out, at moments that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.left, self.done = 0, 0
        self._random = random.Random(seed)  # noqa: S311 (nothing is kept secret by it)

    def after(self) -> float:
        """Draw how many seconds the next promoter lives."""
        return self._random.uniform(0.5, 14.0)

    def strike(self, pid: int) -> None:
        """Kill a promoter, one time out of two with its engine."""
        both = self._random.random() < 0.5
        if both:
            kill_tree([pid])
        else:
            os.kill(pid, signal.SIGKILL)
        self.left, self.done = self.left - 1, self.done + 1
        say(f"kill {self.done}: the promoter{' and its engine' if both else ''}")


class Operator:
    """Types what a person would type."""

    def __init__(self, project: Project, kills: Kills) -> None:
        self._folder = project.folder
        self._kills = kills
        self._log = project.folder / "operator.log"

    def promote(self, *flags: str) -> None:
        """Run a promoter to its end, and again after each time that it was killed."""
        words = ("promote", STACK, "--policies", "dev", "--within", "300", "--json", *flags)
        while True:
            with self.start(*words) as promoter:
                if not self._kills.left:
                    assert promoter.wait(_SECONDS) == 0, self.log()
                    return
                try:
                    assert promoter.wait(self._kills.after()) == 0, self.log()
                except subprocess.TimeoutExpired:
                    self._kills.strike(promoter.pid)
                else:
                    return

    def serinus(self, *words: str) -> str:
        """Run another command to its end; return what it prints."""
        with self.start(*words, out=subprocess.PIPE) as command:
            said, _ = command.communicate(timeout=_SECONDS)
        assert command.returncode == 0, f"serinus {' '.join(words)}: {said}{self.log()}"
        return said

    def start(self, *words: str, out: int | None = None) -> "subprocess.Popen[str]":
        """Start a command; what it says goes to the log, or to `out`."""
        with self._log.open("a") as log:
            log.write(f"$ serinus {' '.join(words)}\n")
            log.flush()
            return subprocess.Popen(
                [Path(sys.executable).parent / "serinus", *words],
                cwd=self._folder,
                env={**os.environ, **engine.environment()},
                stdout=log if out is None else out,
                stderr=log,
                text=True,
            )

    def log(self) -> str:
        """The last words of all commands."""
        return self._log.read_text()[-4000:]


def served() -> int:
    """The percentage of the users whom the gateway sends to the canary by now, by the tails of their ids."""
    return sum(percent(pattern) for _, pattern in gateway.matches_seen(STACK, "chat"))


def settings(**changes: object) -> dict[str, object]:
    """Return the stack's settings, with the agent."""
    own = {"guard": True, "ladder": "fast", "weight": 0, "warmSeconds": 0, "split": SPLIT, "objectives": OBJECTIVES}
    return {**own, "agent": True, "agentToken": "proves who demands a rollback", **changes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--climbs", type=int, default=2)
    parser.add_argument("--rollbacks", type=int, default=3)
    chosen = parser.parse_args()
    cluster.require_root()
    with lock.held("bench-promotion"), tempfile.TemporaryDirectory() as folder:
        network = bring_up()
        project = Project(Path(folder) / STACK, STACK, network)
        kills = Kills(chosen.seed)
        try:
            figures = measure(project, kills, chosen)
        finally:
            project.close()
    print(json.dumps({**figures, "kills": kills.done, "seed": chosen.seed}))


def measure(project: Project, kills: Kills, chosen: argparse.Namespace) -> dict[str, Any]:
    """Climb under load, each time with its part of the deaths, then roll back; return the figures."""
    operator = Operator(project, kills)
    project.create(**settings())
    deployed = project.stack.up()
    assert deployed.ok, deployed.output
    with watched() as watcher:
        climbs, back_seconds = [], []
        for number in range(chosen.climbs):
            if climbs:
                back_seconds.append(go_back(project, operator))
            watcher.until_allowed(RUNGS[0])
            kills.left = (chosen.kills - kills.done) // (chosen.climbs - number)
            climbs.append(climb(project, operator, watcher))
            kills.left = 0
            say(f"climbed {climbs[-1].steps}, overheads {[round(one, 1) for one in climbs[-1].overheads]}")
        operator.promote("--retire")
        assert "deployment.apps/chat-echo-v1" not in found("deployments")
        assert committed(project) == roles("echo-v2")
        seconds = [roll_back_by_hand(project, operator, watcher) for _ in range(chosen.rollbacks)]
        seconds.append(keep_the_desired_state(project, operator, watcher))
        entered = ledger(operator, len(watcher.moves()), 2 * chosen.climbs - 1)
    overheads = [seconds for one in climbs for seconds in one.overheads]
    answers = [answer for one in climbs for answer in one.answers]
    if entered != watcher.moves():
        say(f"the ledger: {entered}\nthe gateway: {watcher.moves()}")
    return {
        "failed": sum(answer.failed for answer in answers),
        "requests": len(answers),
        "moved_back": sum(one.moved_back for one in climbs),
        "steps": [one.steps for one in climbs],
        "swap_restarts": sum(one.restarts for one in climbs),
        "back_s": round(max(back_seconds), 2) if back_seconds else None,
        "step_overhead_s": round(statistics.median(overheads), 2),
        "step_overhead_worst_s": round(max(overheads), 2),
        "manual_rollback_s": round(max(seconds), 2),
        "ledger_complete": entered == watcher.moves(),
    }


@dataclass(frozen=True)
class Climb:
    """What one climb and its swap came to."""

    answers: list[Answer]
    steps: list[int]
    overheads: list[float]
    restarts: int

    @property
    def moved_back(self) -> int:
        """Users who were on the canary and came to the stable release again."""
        on_canary: set[str] = set()
        back: set[str] = set()
        for answer in self.answers:
            if answer.release.startswith("echo-v2-"):
                on_canary.add(answer.user)
            elif answer.user in on_canary:
                back.add(answer.user)
        return len(back)


def climb(project: Project, operator: Operator, watcher: Watcher) -> Climb:
    """Promote from 0 % to the swap under load; what it came to must be what one promoter would have left."""
    before, started = pods(), time.monotonic()
    with background(project.client(32), ["hello"], PER_SECOND) as load:
        operator.promote("--finish")
        assert committed(project) == roles("echo-v2", previous="echo-v1"), (committed(project), operator.log())
        assert [behind(one) for one in ("chat-stable", "chat-canary")] == ["chat-echo-v2", "chat-echo-v2"]
        watcher.until_served(0)
    assert "pending_operations" not in project.stack.pulumi("stack", "export", "--stack", STACK).output
    steps = [new for _, _, new in watcher.steps(started)]
    assert steps == RUNGS, f"the promoter took the rungs {steps}"
    restarts = sum(one not in before for one in pods())
    return Climb(load.answers, steps, watcher.overheads(started), restarts)


def go_back(project: Project, operator: Operator) -> float:
    """Undo the swap; return the seconds of the command."""
    began = time.monotonic()
    operator.promote("--back")
    seconds = time.monotonic() - began
    assert committed(project) == roles("echo-v1", "echo-v2")
    assert behind("chat-stable") == "chat-echo-v1"
    return seconds


def on_trial(project: Project, operator: Operator, watcher: Watcher, canary: str) -> None:
    """Bring a canary to the first rung."""
    project.write_settings(**settings(stable="echo-v2", canary=canary))
    operator.promote("--until", str(RUNGS[0]))
    watcher.until_served(RUNGS[0])


def roll_back_by_hand(project: Project, operator: Operator, watcher: Watcher) -> float:
    """Roll a canary back in one command that also brings the number down; seconds until the gateway is at zero."""
    on_trial(project, operator, watcher, "echo-v1")
    seconds = timed_rollback(operator, "--converge", "--stack", STACK)
    assert committed(project) == roles("echo-v2", "echo-v1")
    operator.serinus("resume", *HERE, "--reason", "a measurement")
    return seconds


def keep_the_desired_state(project: Project, operator: Operator, watcher: Watcher) -> float:
    """Roll back and see that a plain `pulumi up` brings nothing back, and where the next release begins."""
    on_trial(project, operator, watcher, "echo-v1")
    seconds = timed_rollback(operator)
    plain = project.stack.up()
    assert not plain.ok, "a plain update undid a rollback"
    assert "the release is held: a measurement (held)" in plain.output or MANAGER in plain.output, plain.output
    assert served() == 0
    operator.serinus("rollback", *HERE, "--reason", "again", "--yes", "--converge", "--stack", STACK)
    assert committed(project) == roles("echo-v2", "echo-v1")
    again = project.stack.up()
    assert again.ok, again.output
    operator.serinus("resume", *HERE, "--reason", "a measurement")
    # Another release: whoever wants more than its first rung at once is refused.
    later = (project.folder / "releases" / "echo-v2.yaml").read_text().replace("echo-v2", "echo-v3")
    (project.folder / "releases" / "echo-v3.yaml").write_text(later.replace("echo 2", "echo 3"))
    project.write_settings(**settings(stable="echo-v2", canary="echo-v3", weight=RUNGS[1]))
    jump = project.stack.up()
    assert not jump.ok
    assert "skipped-rung" in jump.output, jump.output
    on_trial(project, operator, watcher, "echo-v3")
    return seconds


def timed_rollback(operator: Operator, *flags: str) -> float:
    """Roll back; return the seconds from the key to zero at the gateway."""
    began = time.monotonic()
    with operator.start("rollback", *HERE, "--reason", "a measurement", "--yes", *flags) as command:
        while served() != 0:
            assert time.monotonic() - began < _SECONDS
            time.sleep(0.02)
        seconds = time.monotonic() - began
        assert command.wait(_SECONDS) == 0, operator.log()
    say(f"rolled back in {seconds:.2f} s")
    return seconds


def ledger(operator: Operator, moved: int, swapped: int) -> list[tuple[int, int]]:
    """The moves of the whole ledger, once it has as many as were seen and every swap; what it has after a while, else.

    Where a swap or a way back is missing, or stands there twice, there is no ledger to speak of.
    """
    deadline = time.monotonic() + 20
    while True:
        operator.serinus("ledger", "verify", *HERE)
        entries = json.loads(operator.serinus("ledger", "show", *HERE, "--last", "1000", "--json"))
        deeds = [entry["deed"] for entry in entries]
        moves = [(deed["old"], deed["new"]) for deed in deeds if deed["old"] != deed["new"]]
        swaps = sum(deed["what"] == "swap" for deed in deeds)
        if (len(moves) >= moved and swaps >= swapped) or time.monotonic() > deadline:
            for deed in deeds:
                say(f"{deed['what']} {deed['old']} → {deed['new']} by {deed['who']}: {deed['reason']}")
            return moves if swaps == swapped else []
        time.sleep(0.5)


def committed(project: Project) -> dict[str, str]:
    """The roles that the stack's file declares."""
    config = yaml.safe_load((project.folder / f"Pulumi.{STACK}.yaml").read_text())["config"]
    # Whoever writes the file may put the number in quotes.
    return {role: str(config.get(f"serinus:{role}", "")) for role in ("stable", "canary", "weight", "previous")}


def roles(stable: str, canary: str = "", previous: str = "") -> dict[str, str]:
    """The roles of a canary at rest."""
    return {"stable": stable, "canary": canary, "weight": "0", "previous": previous}


def behind(ingress: str) -> str:
    """The Service that an Ingress routes to."""
    path = "jsonpath={.spec.rules[0].http.paths[0].backend.service.name}"
    return kubernetes.kubectl("-n", STACK, "get", "ingress", ingress, "-o", path)


def found(kind: str) -> list[str]:
    return kubernetes.kubectl("-n", STACK, "get", kind, "-o", "name").split()


def pods() -> list[str]:
    """The pods, with their identities and how often each was restarted."""
    words = ("get", "pods", "-o", f"custom-columns={PODS}", "--no-headers", "--sort-by=.metadata.name")
    return kubernetes.kubectl("-n", STACK, *words).splitlines()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
