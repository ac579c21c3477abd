"""`serinus drill`: breaks a canary on purpose and measures how long its users suffer.

A rollback that was never tried is a hope. The drill lets every answer of the canary's pods fail, by the file that the
release's option `fail_file` names, sends traffic of its own, and takes the file away again whatever happens.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from local.errors import LocalError
from local.progress import console, duration, say
from local.traffic import Answer, Client, background
from serinus.cli.kubectl import Context
from serinus.cli.service import AsJson, Name, Namespace, Service, annotations, weight_of
from serinus.rollout.cut import is_cut
from serinus.rollout.drill import Heard, Timeline, timeline

_FILE = "release.json"
_LOOK_SECONDS = 0.1
# So long after the cut the gateway's last answer of the canary must have come.
_QUIET_SECONDS = 3.0
_WORDS = {
    "fault": "fault → first failed answer",
    "detect_and_decide": "→ the agent decided",
    "cut": "→ the Ingress is cut",
    "seen": "→ the last answer of the canary",
    "total": "first failed answer → last of the canary",
}


def command(
    service: Name,
    gateway: Annotated[str, typer.Option("--gateway", help="The gateway's URL, such as http://10.231.255.2.")],
    namespace: Namespace = "serinus",
    context: Context = "",
    per_second: Annotated[float, typer.Option(help="Requests per second of the drill's own.", min=0.1, max=1000)] = 10,
    limit: Annotated[float, typer.Option(help="Give up after so many seconds.", min=1, max=3600)] = 60,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Break a canary on purpose, and print how long each part of its rollback took. Exit code 1: it was not cut."""
    at = Service(context, namespace, service)
    found, spec, _ = at.declared()
    weight = weight_of(at.ingress())
    file = _fault_file(at, spec.canary)
    if weight == 0:
        raise LocalError(f"the canary of {service} has no traffic: nothing can fail", remedy="Raise its weight first.")
    if (found.get("status") or {}).get("hold"):
        raise LocalError(f"{service} is held already", remedy=f"serinus resume {service} --reason …")
    if not yes:
        _ask(service, weight)
    client = _Listener(gateway, spec.host, spec.canary)
    with (
        background(client, ["a drill"], per_second, limit + 2 * _QUIET_SECONDS),
        _broken(at, spec.canary, file) as since,
    ):
        decided, cut = _wait(at, since, limit)
        if cut is not None:
            time.sleep(_QUIET_SECONDS)
    told = timeline(since, client.heard, decided, cut)
    _tell(told, as_json)
    raise typer.Exit(0 if told.over else 1)


class _Listener(Client):
    """Keeps when each answer came and whether it was the canary's. A failed one names no release: it counts as its."""

    def __init__(self, url: str, host: str, canary: str) -> None:
        super().__init__(url, host)
        self._canary = canary
        self.heard: list[Heard] = []

    def ask(self, user: str, prompt: str) -> Answer:
        answer = super().ask(user, prompt)
        self.heard.append(Heard(time.time(), answer.release == self._canary, answer.failed))
        return answer


def _ask(service: str, weight: int) -> None:
    if not sys.stdin.isatty():
        raise LocalError("nobody can be asked here whether to break the canary", remedy="Add --yes.")
    typer.confirm(f"Let every answer of the canary of {service} fail, for {weight} % of the users?", abort=True)


def _fault_file(at: Service, release: str) -> str:
    """Return the file that breaks this release, as its manifest names it."""
    document = at.config_map(f"{at.name}-{release}") or {}
    try:
        options = json.loads(document["data"][_FILE]).get("options", {})
    except (KeyError, TypeError, ValueError):
        options = {}
    file = str(options.get("fail_file", ""))
    if not file:
        raise LocalError(
            f"the release {release} can't be broken on purpose: its options name no fail_file",
            remedy="Drill with a release of the echo engine, and options: {fail_file: /tmp/drill}.",
        )
    return file


@contextmanager
def _broken(at: Service, release: str, file: str) -> Iterator[float]:
    """Break all pods of a release; mend them at the end. Yields when the first was broken."""
    pods = at.pods(release)
    if not pods:
        raise LocalError(f"the release {release} has no pods", remedy=f"serinus status {at.name}")
    since = time.time()
    try:
        _each(at, pods, "touch", file)
        yield since
    finally:
        _each(at, pods, "rm", "-f", file)


def _each(at: Service, pods: Sequence[str], *words: str) -> None:
    failed: LocalError | None = None
    for pod in pods:
        try:
            at.execute(pod, *words)
        except LocalError as error:
            failed = error  # the others first: none may stay broken
    if failed is not None:
        raise failed


def _wait(at: Service, since: float, limit: float) -> tuple[float | None, float | None]:
    """Return when the agent decided and when the Ingress was seen cut."""
    cut: float | None = None
    while time.time() < since + limit:
        if cut is None and is_cut(annotations(at.ingress())):
            cut = time.time()
        decided = _held_since(at.release()) if cut is not None else None
        if decided is not None:
            return decided, cut
        time.sleep(_LOOK_SECONDS)
    return None, cut


def _held_since(found: dict[str, Any] | None) -> float | None:
    hold = ((found or {}).get("status") or {}).get("hold") or {}
    try:
        return datetime.fromisoformat(hold["since"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _tell(told: Timeline, as_json: bool) -> None:
    segments = told.segments()
    if as_json:
        seconds = {f"{name}_s": value for name, value in segments.items()}
        print(json.dumps({"cut": told.over, "failed_answers": told.failed_answers, **seconds}))
        return
    table = Table("part", "seconds", box=None)
    for name, value in segments.items():
        table.add_row(_WORDS[name], "-" if value is None else duration(value))
    console.print(table)
    say(f"{told.failed_answers} answers failed. {'The canary was cut.' if told.over else '[red]Nobody cut it.[/]'}")
