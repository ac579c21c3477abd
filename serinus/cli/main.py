"""`serinus`: the command line. Each command or group of them is a module of its own; this one puts them together."""

import sys

import typer
from rich.console import Console

from local.errors import LocalError
from serinus.cli.lazy import lazy_group

_COMMANDS = {
    "cluster": "cluster:app",
    "status": "status:app",
    "ledger": "ledger:app",
    "alerts": "alerts:app",
    "rollback": "rollback:command",
    "resume": "resume:command",
    "approve": "approve:command",
    "drill": "drill:command",
    "demo": "demo.command:command",
    "plan": "plan:command",
    "report": "report:command",
    "promote": "promote.command:command",
    "route": "route:command",
    "buckets": "route:buckets",
    "render": "render:command",
    "backtest": "backtest:command",
    "install-crd": "install_crd:command",
    "install-agent": "install_agent:command",
}

app = typer.Typer(
    cls=lazy_group({name: f"serinus.cli.{place}" for name, place in _COMMANDS.items()}),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _serinus() -> None:
    """Canary releases of LLM services by `pulumi up`."""


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
