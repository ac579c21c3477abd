"""`serinus demo`: a tour through two releases, a good one and a bad one, with everything real.

It runs the commands that anybody can type, sends real prompts through the gateway all the while, and counts what users
got.
"""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from local import cluster, engine, gateway, lock, places
from local.places import Network
from local.progress import duration, say, step
from serinus.cli.cluster import bring_up
from serinus.cli.demo import first_act, second_act
from serinus.cli.demo.first_act import FirstAct
from serinus.cli.demo.people import People, print_table
from serinus.cli.demo.picture import picture
from serinus.cli.demo.project import FOLDER, NAMESPACE, STACK, Project, serinus
from serinus.cli.demo.second_act import Played
from serinus.rollout.manifest import load_release

FIGURES = places.BUILD / "demo.json"
PICTURE = places.BUILD / "demo-cut.svg"
GOOD_REPORT = places.BUILD / "demo-good.html"
REPORT = places.BUILD / "demo-bad.html"
_ARRIVAL_SECONDS = 60.0


def command(
    stack: Annotated[
        str, typer.Option(help="The stack whose settings say where the cluster is; it is not changed.")
    ] = "dev",
    gateway_url: Annotated[str, typer.Option("--gateway", help="The gateway's URL, on a cluster of your own.")] = "",
    users: Annotated[int, typer.Option(min=20, max=10_000, help="How many users ask at each step.")] = 60,
) -> None:
    """Show a good release go from the first percent to the swap, and a bad one being cut by itself.

    Brings the local cluster up where no --gateway is named. In a stack of its own, `demo`, it raises the weight by hand
    and by `serinus promote`, has an unsafe jump refused, and swaps; then it releases what fails on purpose. Figures,
    reports and a picture go to build/.
    """
    started = time.monotonic()
    if gateway_url:
        _play(Project(stack, None), gateway_url, None, users, started)
        return
    cluster.require_root()
    with lock.held("serinus demo"):
        network = bring_up()
        # What `eval "$(serinus cluster env)"` does: all that is run from here on finds the local cluster.
        os.environ.update(engine.environment())
        _play(Project(stack, network), network.gateway, network, users, started)


def _play(project: Project, url: str, network: Network | None, users: int, started: float) -> None:
    names = project.names
    people = People(url, names.host)

    def arrive(weight: int) -> None:
        # Only the local gateway can be asked what it routes by.
        if network:
            gateway.wait_for_weight(NAMESPACE, names.service, weight, _ARRIVAL_SECONDS)

    def zero() -> bool:
        return gateway.weight_seen(NAMESPACE, names.service) == 0

    say(f"\n[bold]1. A good release[/] of {names.service}: stable {names.stable}, canary {names.canary}, by {url}\n")
    with step("pulumi up: both releases, the canary at 0 %", "where none runs yet, the model loads twice; 1 min"):
        project.begin()
        arrive(0)
        project.wait_for_the_agent()
    good = first_act.play(project, people, users, arrive)
    print_table(good.steps)
    say(f"While the weight moved, {len(good.aside)} more requests were sent; failed in all: {good.failed}.")
    if good.swap:
        say(f"The swap took {duration(good.swap.up_seconds)} and restarted {good.swap.restarts} pods.")
    say(f"The jump 5 → 80 was {'refused' if good.refusal else '[red]NOT refused[/]'}.")

    say(f"\n[bold]2. A bad release[/]: stable {names.canary}, canary {second_act.BAD}\n")
    bad = second_act.play(project, people, arrive, zero if network else None)
    PICTURE.write_text(picture(bad.answers, bad.moments, bad.figures, bad.since), encoding="utf-8")
    with step("serinus report, of both releases"):
        for release, page in ((names.canary, GOOD_REPORT), (second_act.BAD, REPORT)):
            _report(project, release, page, network)
    seconds = time.monotonic() - started
    FIGURES.write_text(json.dumps(_figures(good, bad, seconds), indent=1))
    say(f"The demo took {duration(seconds)}. What it leaves to look at:")
    for what, path in (
        ("picture", PICTURE),
        ("report", REPORT),
        ("of the good one", GOOD_REPORT),
        ("figures", FIGURES),
    ):
        say(f"  {what:16}{_short(path)}")
    _farewell(project, url, local=network is not None)
    if not (good.well and bad.figures.well):
        raise typer.Exit(1)


def _report(project: Project, release: str, page: Path, network: Network | None) -> None:
    of = load_release(places.ROOT / "releases" / f"{release}.yaml").id
    prometheus = ("--prometheus", network.prometheus) if network else ()
    serinus("report", project.names.service, *project.place(), "--release", of, *prometheus, "-o", str(page))


def _figures(good: FirstAct, bad: Played, seconds: float) -> dict[str, Any]:
    return {
        "steps": [asdict(done) for done in good.steps],
        "jump_refused": bool(good.refusal),
        "failed": good.failed,
        "background_requests": len(good.aside),
        "swap": asdict(good.swap) if good.swap else None,
        "second_act": asdict(bad.figures),
        "report": _short(REPORT),
        "report_of_the_good_one": _short(GOOD_REPORT),
        "picture": _short(PICTURE),
        "seconds": round(seconds, 1),
    }


def _short(path: Path) -> str:
    return str(path.relative_to(places.ROOT))


def _farewell(project: Project, url: str, *, local: bool) -> None:
    names, folder = project.names, _short(FOLDER)
    at = f"{names.service} -n {NAMESPACE}" if local else " ".join((names.service, *project.place()))
    lines = (
        "",
        "The cluster stays up. Ask it something:",
        f"  curl {url}/chat -H 'Host: {names.host}' \\",
        """    -H 'Content-Type: application/json' -d '{"prompt": "Hello!"}'""",
        "Look around:",
        *(('  eval "$(.venv/bin/serinus cluster env)"',) if local else ()),
        f"  kubectl -n {NAMESPACE} get canaryreleases,pods,ingresses",
        f"  serinus status {at}",
        f"End the hold, and move the weight yourself, in the demo's own project {folder}:",
        f"  serinus resume {at} --reason 'I have looked'",
        f"  cd {folder} && pulumi config set serinus:weight 5 --stack {STACK}",
        f"  pulumi up --stack {STACK} {project.policy_words()}",
        "Stop it: make down" if local else f"Take it away: cd {folder} && pulumi destroy --stack {STACK}",
    )
    for line in lines:
        say(line, markup=False)
