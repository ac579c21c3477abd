"""`serinus rollback`: takes all traffic from a canary at once, straight on the cluster.

It needs no agent, no Pulumi and no Prometheus. First the traffic, then what is only said about it: a hold and an entry
in the ledger. What of that fails is told, and the traffic stays at zero.
"""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from local.errors import LocalError
from local.progress import duration, say
from serinus.cli.kubectl import Context
from serinus.cli.service import AsJson, By, Name, Namespace, Policies, Reason, Service, spec_of, weight_of
from serinus.rollout.alertmanager import LONGEST_REASON, plain
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hand import held
from serinus.rollout.hold import Hold
from serinus.rollout.status import Status, read_status


def command(
    service: Name,
    reason: Reason,
    namespace: Namespace = "serinus",
    context: Context = "",
    by: By = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    converge: Annotated[
        bool,
        typer.Option("--converge", help="Then bring the weight that --stack declares to 0 too, and run `pulumi up`."),
    ] = False,
    stack: Annotated[str, typer.Option(help="For --converge: the stack, with its Pulumi.<stack>.yaml.")] = "dev",
    policies: Policies = "",
) -> None:
    """Take all traffic from a canary at once, and hold it there. Exit code 0: done; 1: not all of it."""
    if not reason.strip():
        raise LocalError("--reason is empty", remedy="Say why, in a few words.")
    at = Service(context, namespace, service)
    ingress = at.ingress()
    old = weight_of(ingress)
    if not yes:
        _ask(service, old)
    started = time.monotonic()
    if not at.cut(ingress):
        raise LocalError(f"the canary of {service} is not at 0 after the cut", remedy="serinus rollback again")
    seconds = time.monotonic() - started
    if not as_json:
        say(f"{namespace}/{service}: {old} % → 0 % in {duration(seconds)}.")
    failed, number = _say_so(at, plain(reason, LONGEST_REASON), at.who(by), old)
    if as_json:
        told = {"service": service, "old": old, "new": 0, "seconds": round(seconds, 3), "entry": number}
        print(json.dumps({**told, "held": not any("hold" in one for one in failed), "failed": failed}))
    else:
        _tell(service, failed, converge=converge)
    brought = _converge(stack, policies, as_json=as_json) if converge else True
    raise typer.Exit(0 if brought and not failed else 1)


def _converge(stack: str, policies: str, *, as_json: bool) -> bool:
    """Bring what is declared down to what is served: the traffic is at zero already, and this may take its time."""
    # The engine's SDK takes half a second to load; the cut must not wait for it.
    from serinus.cli.promote import ends
    from serinus.cli.promote.command import drive
    from serinus.cli.promote.outcome import Exit
    from serinus.cli.promote.show import Json, Lines

    with Json() if as_json else Lines() as show:
        outcome = drive(stack, ends.converge, show, policies or stack, seated=False)
        show.end(outcome)
    return outcome.exit is Exit.DONE


def _ask(service: str, weight: int) -> None:
    if not sys.stdin.isatty():
        raise LocalError("nobody can be asked here whether to roll back", remedy="Add --yes.")
    typer.confirm(f"Take all traffic ({weight} %) from the canary of {service}?", default=True, abort=True)


def _say_so(at: Service, reason: str, by: str, old: int) -> tuple[list[str], int | None]:
    """Hold the release and write the ledger; return what of it failed, and the ledger's entry."""
    now = datetime.now(UTC)
    failed: list[str] = []
    before: dict[str, Any] | None = None
    try:
        before = at.release()
        if before is not None:
            hold = Hold(reason=reason, by=by, since=now)
            at.change_status(lambda spec, generation, status: held(spec, generation, status, hold))
    except LocalError as error:
        failed.append(f"the hold is not written: {error}")
    try:
        return failed, at.note(_deed(at.name, before, reason, by, old, now)).number
    except LocalError as error:
        return [*failed, f"the ledger is not written: {error}"], None


def _deed(service: str, before: dict[str, Any] | None, reason: str, by: str, old: int, now: datetime) -> Deed:
    status = read_status((before or {}).get("status"))
    try:
        release = spec_of(before)[0].canary if before else ""
    except LocalError:
        release = ""
    verdict = status.verdict if isinstance(status, Status) else None
    return Deed(Kind.CUT, service, by, reason, now, release, old, 0, verdict)


def _tell(service: str, failed: list[str], *, converge: bool) -> None:
    for one in failed:
        say(f"[red]not done:[/] {escape(one)}")
    say(f"It stays there until `serinus resume {service} --reason …`.")
    if not converge:
        say("Bring the declared weight down too:")
        say("  pulumi config set serinus:weight 0 && pulumi up")
