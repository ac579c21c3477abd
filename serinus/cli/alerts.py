"""`serinus alerts`: the guards of a stack as plain files, for a Prometheus that no operator feeds."""

from collections.abc import Mapping
from typing import Annotated

import typer
import yaml

from serinus.cli.stack_settings import stack_settings
from serinus.rollout.alert_receiver import Receiver, plain_config

app = typer.Typer(
    help="The guards of a stack as plain files, for a Prometheus that no operator feeds.", no_args_is_help=True
)

Stack = Annotated[str, typer.Option(help="The stack; its settings are in Pulumi.<stack>.yaml.")]
_TOKEN_FILE = "/etc/alertmanager/serinus-token"  # noqa: S105 - where a token lies, not a token


@app.command()
def rules(stack: Stack) -> None:
    """Print the rules, as a file for `rule_files` of prometheus.yml."""
    # Only here: Pulumi's libraries take their time, and no other command needs them.
    from stacks.monitoring import alert_groups

    _show({"groups": alert_groups(stack_settings(stack))})


@app.command()
def receiver(
    stack: Stack,
    token_file: Annotated[
        str, typer.Option(help="Where Alertmanager finds the agent's token, a path on its machine.")
    ] = _TOKEN_FILE,
) -> None:
    """Print the route and the receiver that tell the agent, to be put into alertmanager.yml."""
    settings = stack_settings(stack)
    config = plain_config(Receiver(settings.service, settings.namespace), token_file)
    _show({"route": {"routes": [config["route"]]}, "receivers": config["receivers"]})


def _show(document: Mapping[str, object]) -> None:
    print(yaml.safe_dump(document, sort_keys=False, width=120), end="")
