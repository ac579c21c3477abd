"""`serinus ledger`: who changed what and why, and whether that record is whole."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from local.errors import LocalError
from local.progress import console, say
from serinus.cli.kubectl import Context
from serinus.cli.service import AsJson, Name, Namespace, Service
from serinus.rollout.book import Checked, book_name, check, evidence_name, old_book_name

app = typer.Typer(help="Who changed what and why, in a chain that shows every later change.", no_args_is_help=True)


@app.command()
def show(
    service: Name,
    namespace: Namespace = "serinus",
    context: Context = "",
    last: Annotated[int, typer.Option(help="How many of the newest entries.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries, the oldest of them first."""
    checked = _read(context, namespace, service)
    entries = checked.entries[-last:]
    if as_json:
        print(json.dumps([entry.document() for entry in entries]))
        return
    table = Table("no.", "when", "what", "weight", "who", "why", "digest", box=None)
    for entry in entries:
        deed = entry.deed
        when = deed.at.strftime("%Y-%m-%d %H:%M:%S %Z")
        moved = f"{deed.old} → {deed.new} %"
        table.add_row(
            str(entry.number), when, deed.what, moved, escape(deed.who), escape(deed.reason), entry.digest[:12]
        )
    console.print(table)
    if checked.breaks:
        say(f"[red]The ledger is broken:[/] `serinus ledger verify {service}` says where.")


@app.command()
def verify(
    service: Name,
    namespace: Namespace = "serinus",
    context: Context = "",
    known: Annotated[str, typer.Option(help="A digest noted elsewhere, which some entry must have.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check the ledger. Exit code 0: it is whole; 1: it was edited, cut or reordered."""
    checked = _read(context, namespace, service, known or None)
    if as_json:
        head = checked.entries[-1].digest if checked.entries else None
        told = {"entries": len(checked.entries), "dropped": checked.dropped, "head": head, "breaks": checked.breaks}
        print(json.dumps(told))
    else:
        for one in checked.breaks:
            console.print(f"  {one}", markup=False)
        before = f" after {checked.dropped} that a full book let go" if checked.dropped else ""
        head = f" The newest has the digest {checked.entries[-1].digest}." if checked.entries else ""
        say(f"{len(checked.entries)} entries{before}: {'[red]broken[/]' if checked.breaks else 'whole'}.{head}")
    raise typer.Exit(1 if checked.breaks else 0)


def _read(context: str, namespace: str, service: str, known: str | None = None) -> Checked:
    at = Service(context, namespace, service)
    book, old, evidence = (
        at.config_map(one) for one in (book_name(service), old_book_name(service), evidence_name(service))
    )
    if book is None and at.release() is None:
        raise LocalError(
            f"there is no ledger of {namespace}/{service}",
            remedy="Name another SERVICE, --namespace or --context.",
        )
    return check((book or {}).get("data"), (old or {}).get("data"), (evidence or {}).get("data"), known)
