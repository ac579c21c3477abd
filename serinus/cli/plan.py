"""`serinus plan`: what a change of the settings would do to the users, before it is done.

It runs the preview with the policy pack, looks at the cluster, and says in one report whether the change may go.
"""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from local.errors import LocalError
from local.progress import console, step
from serinus.cli.engine_events import read_preview
from serinus.cli.live import read_live
from serinus.cli.plan_report import markdown, show
from serinus.cli.service import Policies
from serinus.cli.stack import Stack, environment, project_folder
from serinus.rollout.assess import assess
from serinus.rollout.outlook import Expected
from serinus.rollout.plan import Decision, Plan
from serinus.rollout.yaml_text import read_yaml

_NOT_LIVE = "the cluster was not asked (--no-live)"
# The engine knows --event-log only in this mode; its own automation API does the same.
_EVENTS = {"PULUMI_DEBUG_COMMANDS": "true"}


def command(
    stack: Annotated[str, typer.Option(help="The stack; its settings are in Pulumi.<stack>.yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON (docs/plan.schema.json).")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the report as Markdown.")] = False,
    save_plan: Annotated[
        Path | None,
        typer.Option(help="Keep the engine's plan here for `pulumi up --plan`. A refused change leaves none."),
    ] = None,
    policies: Policies = "",
    live: Annotated[bool, typer.Option(help="Ask the cluster. Without it no rise can be judged.")] = True,
    per_second: Annotated[
        float | None,
        typer.Option(
            "--requests-per-second",
            min=0.0,
            envvar="SERINUS_REQUESTS_PER_SECOND",
            help="Expected requests per second on both releases. By default, what the agent has counted.",
        ),
    ] = None,
    usual: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, envvar="SERINUS_USUAL", help="The stable's usual share of bad requests, 0 to 1."
        ),
    ] = None,
    worth_seeing: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            envvar="SERINUS_WORTH_SEEING",
            help="The smallest share of bad requests on the canary that the step must find, 0 to 1.",
        ),
    ] = Expected().worth_seeing,
) -> None:
    """Say what a change of the settings would do, and whether it may go. Nothing is changed.

    Exit code 0: it may go. 1: it is refused. 2: it could not be told, for want of data or because the preview failed.
    """
    if as_json and as_markdown:
        raise typer.BadParameter("--json and --markdown exclude each other; give one of them")
    expected = Expected(per_second, usual, worth_seeing)
    try:
        plan = _plan(stack, policies or stack, save_plan.absolute() if save_plan else None, live, expected)
    except LocalError as error:
        console.stderr = True
        console.print(f"error: {error}", markup=False)
        raise typer.Exit(Decision.UNKNOWN.exit_code) from None
    if as_json:
        typer.echo(plan.model_dump_json(by_alias=True, indent=1))
    elif as_markdown:
        typer.echo(markdown(plan))
    else:
        show(plan, console)
    raise typer.Exit(plan.exit_code)


def _plan(name: str, policies: str, save_plan: Path | None, live: bool, expected: Expected) -> Plan:
    folder = project_folder()
    environ = environment(folder / f"Pulumi.{name}.yaml") | _EVENTS
    stack = Stack(folder, name, environ, policies, folder / "build" / "logs" / "plan-pulumi.log")
    flags = ["--save-plan", str(save_plan)] if save_plan else []
    with tempfile.TemporaryDirectory() as scratch, step(f"previewing {name}"):
        log = Path(scratch) / "events"
        result = stack.preview("--event-log", str(log), *flags)
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    project = read_yaml((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
    preview = read_preview(lines, project)
    if not result.ok and not (preview.errors or preview.refusals):
        # It ended before there were events: no such stack, no backend, a wrong flag.
        preview = preview.model_copy(update={"errors": (result.output.strip() or f"exit code {result.code}",)})
    seen = read_live(preview.config, folder, os.environ | environ) if live else _NOT_LIVE
    plan = assess(name, preview, seen, expected, datetime.now(UTC))
    if save_plan and plan.decision is Decision.REFUSED:
        save_plan.unlink(missing_ok=True)
    return plan
