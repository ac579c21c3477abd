"""`serinus alerts`: the guards of a stack as plain files, for a Prometheus that no operator feeds."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from local import places
from local.errors import LocalError
from serinus.rollout.alert_receiver import Receiver, plain_config

if TYPE_CHECKING:
    from stacks.settings import Settings

app = typer.Typer(
    help="The guards of a stack as plain files, for a Prometheus that no operator feeds.", no_args_is_help=True
)

Stack = Annotated[str, typer.Option(help="The stack; its settings are in Pulumi.<stack>.yaml.")]
_TOKEN_FILE = "/etc/alertmanager/serinus-token"  # noqa: S105 - where a token lies, not a token
# Stands for a setting that only the engine can decrypt. None is in a rule or in a receiver.
_ENCRYPTED = "encrypted-in-the-stacks-file"


@app.command()
def rules(stack: Stack) -> None:
    """Print the rules, as a file for `rule_files` of prometheus.yml."""
    # Only here: Pulumi's libraries take their time, and no other command needs them.
    from stacks.monitoring import alert_groups

    _show({"groups": alert_groups(_settings(stack))})


@app.command()
def receiver(
    stack: Stack,
    token_file: Annotated[
        str, typer.Option(help="Where Alertmanager finds the agent's token, a path on its machine.")
    ] = _TOKEN_FILE,
) -> None:
    """Print the route and the receiver that tell the agent, to be put into alertmanager.yml."""
    settings = _settings(stack)
    config = plain_config(Receiver(settings.service, settings.namespace, f"{settings.service}-agent"), token_file)
    _show({"route": {"routes": [config["route"]]}, "receivers": config["receivers"]})


def _show(document: Mapping[str, object]) -> None:
    print(yaml.safe_dump(document, sort_keys=False, width=120), end="")


def _settings(stack: str) -> "Settings":
    """The settings of the project in this directory, over its defaults. Raises LocalError that names every mistake."""
    from stacks.settings import SettingsError, read_settings

    here = Path.cwd()
    project, own = (_read(here / name) for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml"))
    name = str(project["name"])
    config = {f"{name}:{key}": one.get("default") for key, one in (project.get("config") or {}).items()}
    config |= own.get("config") or {}
    try:
        return read_settings({key: _as_text(value) for key, value in config.items()}, name, here, os.environ)
    except SettingsError as error:
        raise LocalError(str(error)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"run this in the project's directory, such as {places.ROOT}, with a stack that has a file"
        raise LocalError(f"{path.name} can't be read: {error.strerror}", remedy=remedy) from None
    return found


def _as_text(value: object) -> str:
    """A value as the engine would hand it over."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        return _ENCRYPTED
    return value if isinstance(value, str) else json.dumps(value)
