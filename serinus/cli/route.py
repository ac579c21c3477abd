"""`serinus route` and `serinus buckets`: who gets which release at each step, told before anybody does."""

import json
from typing import Annotated

import typer
from rich.table import Table

from local.errors import LocalError
from local.progress import console, say
from serinus.cli.declared import read_stack
from serinus.rollout.patterns import percent
from serinus.rollout.route import CANARY, STABLE, route, shares

StackName = Annotated[str, typer.Option(help="The stack; its settings are in Pulumi.<stack>.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def command(
    user: Annotated[str, typer.Argument(help="The id by which users are split: a user's, or a conversation's.")],
    stack: StackName = "dev",
    tag: Annotated[str, typer.Option(help="The tag that a proxy gives this user, such as VIP.")] = "",
    as_json: AsJson = False,
) -> None:
    """Tell which release a user gets at each step of the ladder, and why. No cluster is asked."""
    found = read_stack(stack)
    try:
        way = route(found.declared, user, tag)
    except ValueError as error:
        raise LocalError(str(error), remedy="serinus route --help") from None
    names = {STABLE: found.stable or STABLE, CANARY: found.canary or CANARY}
    steps = [
        {"weight": weight, "role": role, "release": names.get(role, ""), "now": weight == found.weight}
        for weight, role in way.roles.items()
    ]
    if as_json:
        print(json.dumps({"by": found.declared.split.by, "value": way.value, "because": way.because, "steps": steps}))
        return
    say(way.because)
    table = Table(box=None)
    for column in ("weight", "gets", "release", ""):
        table.add_column(column)
    for one in steps:
        table.add_row(f"{one['weight']} %", str(one["role"]), str(one["release"]), "now" if one["now"] else "")
    console.print(table)


def buckets(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Show what the gateway matches at each step of the ladder. No cluster is asked."""
    found = read_stack(stack)
    steps = [
        {
            "weight": weight,
            "header": header,
            "pattern": pattern,
            "users": percent(pattern) if header else None,
            "now": weight == found.weight,
        }
        for weight, header, pattern in shares(found.declared)
    ]
    if as_json:
        print(json.dumps({"by": found.declared.split.by, "steps": steps}))
        return
    table = Table(box=None)
    for column in ("weight", "header", "pattern", "users", ""):
        table.add_column(column, no_wrap=True)
    for one in steps:
        users = int(one["users"] or 0)
        drawn = f"{'█' * (users // 5)}{'·' * (20 - users // 5)} {users} %" if one["header"] else "requests, by chance"
        row = (f"{one['weight']} %", str(one["header"]), str(one["pattern"]), drawn, "now" if one["now"] else "")
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)
