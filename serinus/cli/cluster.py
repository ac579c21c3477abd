"""`serinus cluster`: the local cluster, for those who have none at hand."""

import dataclasses
import json
import os
from typing import Annotated

import typer
from rich.table import Table

from local import agentimage, cluster, engine, lock, places
from local.progress import console, say, step
from serinus.cli.install_agent import install
from serinus.cli.kubectl import Reach
from serinus.rollout.agency_objects import Installation, installed
from serinus.rollout.canary_release import crd

app = typer.Typer(
    help="The local cluster: a real Kubernetes, gateway and engine on this machine.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def bring_up() -> places.Network:
    """Bring the local cluster up, with the definition of CanaryRelease and the agent. Raises LocalError."""
    net = cluster.up()
    agent = installed(Installation(agentimage.NAME, [net.gateway_metrics], net.prometheus))
    with step("installing the agent"):
        install(Reach(environ={**os.environ, **engine.environment()}), [crd(), *agent])
    return net


@app.command()
def up() -> None:
    """Bring the local cluster up. The first time this builds and downloads what it needs; later it takes seconds."""
    cluster.require_root()
    with lock.held("serinus cluster up"):
        net = bring_up()
    say(f"The local cluster is up. Gateway: {net.gateway}")
    say('Use it from this shell: eval "$(.venv/bin/serinus cluster env)"')


@app.command()
def down() -> None:
    """Stop the local cluster and delete its state. What was built stays in the cache."""
    cluster.require_root()
    with lock.held("serinus cluster down"):
        found = cluster.down()
    say("The local cluster is gone." if found else "There was no local cluster.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show every part of the local cluster. Exit code 0: all well; 1: something is not; 3: there is no cluster."""
    parts = cluster.status()
    if as_json:
        gateway = places.network().gateway if parts else None
        print(json.dumps({"gateway": gateway, "parts": [dataclasses.asdict(part) for part in parts]}))
    elif not parts:
        say("There is no local cluster on this machine. `serinus cluster up` brings one up.")
    else:
        table = Table("part", "pid", "state", box=None)
        for part in parts:
            state = "[green]well[/]" if part.healthy else "[red]not answering[/]" if part.pid else "[red]not running[/]"
            table.add_row(part.name, str(part.pid or "-"), state)
        console.print(table)
        say(f"gateway: {places.network().gateway}")
    if not parts:
        raise typer.Exit(3)
    if not all(part.healthy for part in parts):
        raise typer.Exit(1)


@app.command()
def weights() -> None:
    """Print the directory of the demo's model; make it first where it is missing. For the model service's own tests."""
    print(cluster.weights())


@app.command()
def env() -> None:
    """Print what a shell needs to run `pulumi` and `kubectl` here: eval "$(serinus cluster env)"."""
    print("\n".join(engine.shell_lines()))
