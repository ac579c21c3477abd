"""`serinus status`: what a rollout is doing, and what keeps it from rising.

`serinus status set` says in the agent's place what was observed, for a cluster where no agent runs. It is no way past
the rules: the weight that is allowed follows from the observation by the same rules as the agent's. Whether somebody
may write a status at all is the cluster's decision, by its RBAC on `canaryreleases/status`.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from local.errors import LocalError
from local.progress import console, say
from serinus.cli.kubectl import Context, kubectl
from serinus.rollout.canary_release import API_VERSION, CRD_NAME, KIND, Spec
from serinus.rollout.complaints import complaints
from serinus.rollout.status import Observation, Status, read_status
from serinus.rollout.step import allowed_weight, check_step, conclude
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation

app = typer.Typer(help="What a rollout is doing, and what keeps it from rising.")

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace of the service.")]
Service = Annotated[str, typer.Option(help="The service, which has a CanaryRelease of its name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.callback(invoke_without_command=True)
def show(
    called: typer.Context,
    namespace: Namespace = "serinus",
    service: Service = "chat",
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Show a service's rollout. Exit code 0: the next rung is allowed; 1: something keeps it back."""
    if called.invoked_subcommand:
        return
    found = _read(context, namespace, service)
    spec, generation = _declared(found)
    declared, status = spec.declared(generation), read_status(found.get("status"))
    upper = declared.ladder.next_rung(spec.weight)
    refused = check_step(declared, status, spec.weight, upper.weight, datetime.now(UTC)) if upper else []
    if as_json:
        told = [{"code": one.code, "sentence": one.sentence, "remedy": one.remedy} for one in refused]
        document = None if isinstance(status, Violation) else status.document()
        next_ = upper.weight if upper else None
        print(json.dumps({"spec": spec.document(), "status": document, "next": next_, "refused": told}))
    else:
        _print(spec, status)
        if upper is not None:
            say(f"The next rung, {upper.weight} %, is {'refused:' if refused else 'allowed.'}")
        for one in refused:
            console.print(f"  {one}", markup=False)
    raise typer.Exit(1 if refused else 0)


@app.command(name="set")
def write(
    verdict: Annotated[Verdict, typer.Option(help="What a judge says of the canary.")],
    because: Annotated[str, typer.Option(help="Why.")],
    namespace: Namespace = "serinus",
    service: Service = "chat",
    context: Context = "",
    weight: Annotated[int | None, typer.Option(help="What the gateway serves; the declared weight by default.")] = None,
    baked: Annotated[int, typer.Option(help="Seconds that the step has lasted.")] = 0,
    hold: Annotated[str, typer.Option(help="A reason to hold the release.")] = "",
    approve: Annotated[int | None, typer.Option(help="Approve the rise to this rung.")] = None,
    by: Annotated[str, typer.Option(help="Who holds or approves.")] = "",
) -> None:
    """Say what was observed, where no agent does. What is allowed follows from it by the rules."""
    spec, generation = _declared(_read(context, namespace, service))
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


def _read(context: str, namespace: str, service: str) -> dict[str, Any]:
    what = f"reading the CanaryRelease {namespace}/{service}"
    remedy = "Name another --namespace, --service or --context, or set serinus:guard to true and run `pulumi up`."
    words = ("-n", namespace, "get", CRD_NAME, service, "-o", "json")
    found: dict[str, Any] = json.loads(kubectl(context, *words, what=what, remedy=remedy))
    return found


def _declared(found: dict[str, Any]) -> tuple[Spec, int]:
    try:
        return Spec.model_validate(found["spec"]), int(found["metadata"]["generation"])
    except ValidationError as error:
        told = "; ".join(complaints(Spec, error))
        raise LocalError(f"the spec of the CanaryRelease can't be read: {told}", remedy="pulumi up") from None


def _print(spec: Spec, status: Status | Violation) -> None:
    table = Table(show_header=False, box=None)
    table.add_row("service", spec.service)
    table.add_row("stable", spec.stable)
    table.add_row("canary", spec.canary or "none")
    table.add_row("weight", f"{spec.weight} %")
    if isinstance(status, Status):
        age = (datetime.now(UTC) - status.observed_at).total_seconds()
        table.add_row("seen", f"{status.weight} %, {age:.0f} s ago")
        table.add_row("allowed", f"{status.allowed_weight} %")
        table.add_row("verdict", f"{status.verdict or 'none yet'}: {status.because or 'no reason given'}")
        table.add_row("baked", f"{status.baked_seconds:.0f} s")
        if status.hold:
            table.add_row("held", f"{status.hold.reason} (by {status.hold.by}, {status.hold.since.isoformat()})")
    console.print(table)
