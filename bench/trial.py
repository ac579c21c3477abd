"""A stack whose canary is put on trial and freed of its hold, again and again and without replacing a pod."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local import gateway
from local.places import Network
from serinus.cli import resume as resuming
from serinus.rollout.share import WEIGHT
from tests.cluster.agents import WEIGHT_ON_TRIAL, Watched
from tests.cluster.conftest import Project

_SECONDS = 60.0


@contextmanager
def watched_stack(name: str, network: Network, terms: Mapping[str, str] | None = None) -> Iterator[Watched]:
    """Bring a stack up with its canary at rest, served by the agent on these terms; it goes with the block."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / name, name, network)
        project.create()
        watched = Watched(project, terms)
        try:
            watched.declare()
            yield watched
        finally:
            project.close()


def raise_weight(watched: Watched) -> None:
    """Put the canary on trial by breaking the glass, and wait until gateway and agent know."""
    change = {"metadata": {"annotations": {WEIGHT: str(WEIGHT_ON_TRIAL)}}}
    raised = watched.rescuer.patch(watched.ingress_path, change)
    assert raised.ok, raised.message
    gateway.wait_for_weight(watched.project.name, "chat", WEIGHT_ON_TRIAL, _SECONDS)
    watched.until(lambda: watched.status.get("weight") == WEIGHT_ON_TRIAL)


def resume(watched: Watched) -> None:
    """End the hold as a person does, without a program for each of so many, and wait until the agent agrees."""
    resuming.command("chat", "the benchmark goes on", watched.project.name, "", "ada")
    watched.until(lambda: "hold" not in watched.status and watched.status.get("verdict") == "insufficient")
