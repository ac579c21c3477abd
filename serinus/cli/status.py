"""`serinus status`: what a rollout is doing, and what keeps it from rising.

`serinus status set` says in the agent's place what was observed, for a cluster where no agent runs. It is no way past
the rules: the weight that is allowed follows from the observation by the same rules as the agent's. Whether somebody
may write a status at all is the cluster's decision, by its RBAC on `canaryreleases/status`.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.live import Live
from rich.text import Text
from typer.core import TyperGroup

from local.errors import LocalError
from local.progress import console, say
from serinus.cli.kubectl import Context, kubectl
from serinus.cli.service import AsJson, Namespace, Service
from serinus.cli.status_table import Seen, framed, table
from serinus.rollout.canary_release import API_VERSION, KIND
from serinus.rollout.complaints import complaints
from serinus.rollout.hold import waive
from serinus.rollout.status import Observation, read_status
from serinus.rollout.step import allowed_weight, check_step, conclude
from serinus.rollout.verdict import Verdict

Option = Annotated[str, typer.Option("--service", help="The service, which has a CanaryRelease of its name.")]

_LOOK_SECONDS = 1.0


class _ServiceOrCommand(TyperGroup):
    """Takes `serinus status chat`: a first word that is no command names the service."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (typer's context type is private)
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["--service", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ServiceOrCommand,
    help="What a rollout is doing, and what keeps it from rising.",
    subcommand_metavar="[SERVICE] [COMMAND] [ARGS]...",
)


@app.callback(invoke_without_command=True)
def show(
    called: typer.Context,
    namespace: Namespace = "serinus",
    service: Option = "chat",
    context: Context = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew each second, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a service's rollout. Exit code 0: the next rung is allowed; 1: something keeps it back."""
    if called.invoked_subcommand:
        return
    at = Service(context, namespace, service)
    if watch:
        _watch(at, as_json)
        return
    seen = _look(at)
    if as_json:
        print(json.dumps(seen.document()))
    else:
        console.print(table(seen), soft_wrap=False)
    raise typer.Exit(1 if seen.refused else 0)


def _look(at: Service) -> Seen:
    found, spec, generation = at.declared()
    status = read_status(found.get("status"))
    now = datetime.now(UTC)
    upper = spec.declared(generation).ladder.next_rung(spec.weight)
    against = check_step(spec.declared(generation), status, spec.weight, upper.weight, now) if upper else []
    said = waive(against, spec.override, now)
    return Seen(spec, status, upper.weight if upper else None, said.remaining, now, tuple(said.waived))


def _watch(at: Service, as_json: bool) -> None:
    """Show it each second. What can't be read is shown in its place: it may come back."""
    try:
        with Live(console=console, auto_refresh=False, transient=False) as live:
            while True:
                try:
                    seen = _look(at)
                    if as_json:
                        print(json.dumps(seen.document()), flush=True)
                    else:
                        live.update(framed(seen, at.namespace), refresh=True)
                except LocalError as error:
                    if as_json:
                        print(json.dumps({"error": str(error)}), flush=True)
                    else:
                        live.update(Text(str(error), style="red"), refresh=True)
                time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return


@app.command(name="set")
def write(
    verdict: Annotated[Verdict, typer.Option(help="What a judge says of the canary.")],
    because: Annotated[str, typer.Option(help="Why.")],
    namespace: Namespace = "serinus",
    service: Option = "chat",
    context: Context = "",
    weight: Annotated[int | None, typer.Option(help="What the gateway serves; the declared weight by default.")] = None,
    baked: Annotated[int, typer.Option(help="Seconds that the step has lasted.")] = 0,
    hold: Annotated[str, typer.Option(help="A reason to hold the release.")] = "",
    approve: Annotated[int | None, typer.Option(help="Approve the rise to this rung.")] = None,
    by: Annotated[str, typer.Option(help="Who holds or approves.")] = "",
) -> None:
    """Say what was observed, where no agent does. What is allowed follows from it by the rules."""
    _, spec, generation = Service(context, namespace, service).declared()
    now = datetime.now(UTC)
    try:
        seen = Observation.model_validate(
            {
                "service": service,
                "canary": spec.canary,
                "weight": spec.weight if weight is None else weight,
                "verdict": verdict,
                "because": because,
                "stepStartedAt": now - timedelta(seconds=baked),
                "bakedSeconds": baked,
                "hold": {"reason": hold, "by": by, "since": now} if hold else None,
                "approvals": [] if approve is None else [{"weight": approve, "by": by, "at": now}],
                "observedAt": now,
                "observedGeneration": generation,
            }
        )
    except ValidationError as error:
        raise LocalError("; ".join(complaints(Observation, error)), remedy="serinus status set --help") from None
    status = conclude(seen, allowed_weight(spec.declared(generation), seen, now))
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": service, "namespace": namespace},
        "status": status.document(),
    }
    flags = ("--server-side", "--subresource=status", "--field-manager=serinus-status", "-f", "-")
    kubectl(context, "apply", *flags, what=f"writing the status of {namespace}/{service}", document=document)
    say(f"{namespace}/{service}: allowed up to {status.allowed_weight} %.")
