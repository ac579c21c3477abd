"""`serinus`: the command line. Each group of commands is a module of its own; this one puts them together."""

import sys

import typer
from rich.console import Console

from local.errors import LocalError
from serinus.cli import (
    alerts,
    approve,
    backtest,
    cluster,
    demo,
    drill,
    install_crd,
    ledger,
    plan,
    report,
    resume,
    rollback,
    route,
    status,
)
from serinus.cli.promote import command as promote

app = typer.Typer(
    help="Canary releases of LLM services by `pulumi up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(cluster.app, name="cluster")
app.add_typer(status.app, name="status")
app.add_typer(ledger.app, name="ledger")
app.command(name="rollback")(rollback.command)
app.command(name="resume")(resume.command)
app.command(name="approve")(approve.command)
app.command(name="drill")(drill.command)
app.add_typer(alerts.app, name="alerts")
app.command(name="demo")(demo.command)
app.command(name="plan")(plan.command)
app.command(name="report")(report.command)
app.command(name="promote", help=promote.HELP)(promote.command)
app.command(name="route")(route.command)
app.command(name="buckets")(route.buckets)
app.command(name="backtest")(backtest.command)
app.command(name="install-crd")(install_crd.command)


def main() -> None:
    """Run a command; an error that the user can act on is told in words, not as a traceback. Exit code 1."""
    try:
        app()
    except LocalError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("[red]error:[/] ", end="")
        console.print(str(error), markup=False)
        for line in error.tail():
            console.print(f"  │ {line}", markup=False, style="dim")
        if error.log is not None:
            console.print(f"  whole log: {error.log}", markup=False)
        if error.remedy:
            console.print(f"remedy: {error.remedy}", markup=False)
        sys.exit(1)
