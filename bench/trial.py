"""A stack whose canary is put on trial and freed of its hold, again and again and without replacing a pod."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.places import Network
from serinus.cli import resume as resuming
from tests.cluster.agents import Watched
from tests.cluster.conftest import Project


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


def resume(watched: Watched) -> None:
    """End the hold as a person does, without a program for each of so many, and wait until the agent agrees."""
    resuming.command("chat", "the benchmark goes on", watched.project.name, "", "ada")
    watched.until(lambda: "hold" not in watched.status and watched.status.get("verdict") == "insufficient")
