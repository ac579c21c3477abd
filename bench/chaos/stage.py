"""A canary on trial under load, everything by which it can be disturbed, and what is known of its end."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import requests

from bench.chaos.odd_prometheus import OddPrometheus
from bench.chaos.replicas import Replicas
from bench.load import Load
from local.places import Network
from serinus.rollout.book import book_name, check, evidence_name, old_book_name
from serinus.rollout.deed import Kind
from serinus.rollout.gateway_series import ERRORS, names, read, sort
from serinus.rollout.ledger import Line
from tests.cluster.agents import WEIGHT_ON_TRIAL, Watched
from tests.cluster.conftest import Project

DEMAND = {"service": "chat", "reason": "chaos", "by": "ada"}


@dataclass(frozen=True)
class Stage:
    """One stack. `killed` counts the agents' deaths by how far they had come."""

    watched: Watched
    network: Network
    replicas: Replicas
    prometheus: OddPrometheus
    chance: random.Random
    killed: Counter[str]

    @property
    def project(self) -> Project:
        return self.watched.project

    def demand(self) -> None:
        """Demand a rollback until it is taken, as a sender does."""
        self.replicas.post_until_taken("/v1/rollback", DEMAND)

    def break_under(self, load: Load) -> None:
        """Break the canary, and wait until a user has noticed."""
        self.watched.break_canary()
        self.watched.until(lambda: bool(load.failures))

    def cuts(self) -> list[Line]:
        """What the ledger says of cuts, the oldest first. The ledger must be whole."""
        at = f"/api/v1/namespaces/{self.project.name}/configmaps"
        books = (book_name("chat"), old_book_name("chat"), evidence_name("chat"))
        checked = check(*(self.watched.api.get(f"{at}/{name}").document.get("data") for name in books))
        assert not checked.breaks, checked.breaks
        return [entry.deed for entry in checked.entries if entry.deed.what in (Kind.CUT, Kind.HELD)]

    def on_the_canary(self) -> float:
        """Requests that the gateway has sent to the canary so far, by its own counters."""
        stable = str(self.watched.api.get(self.watched.release_path).document["spec"]["stable"])
        page = requests.get(self.network.gateway_metrics, timeout=5).text
        return read(sort(page), names(self.project.name, "chat", stable))[ERRORS].canary.total


@dataclass(frozen=True)
class Scenario:
    """One way to a cut. `breaks`: the canary fails its users. `at`: the weight before. `times`: how often to try it."""

    name: str
    play: Callable[[Stage, Load], None]
    breaks: bool = False
    at: int = WEIGHT_ON_TRIAL
    times: int = 1


def soon(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it is true, and know it within a moment."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.001)
