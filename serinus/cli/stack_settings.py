"""The settings of a stack, read from its file without the engine: for what changes nothing and needs no secret."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import places
from local.errors import LocalError
from serinus.rollout.yaml_text import read_yaml

if TYPE_CHECKING:
    from stacks.settings import Settings

# Stands for a setting that only the engine can decrypt.
_ENCRYPTED = "encrypted-in-the-stacks-file"


def stack_settings(stack: str) -> "Settings":
    """The settings of the project in this directory, over its defaults. Raises LocalError that names every mistake."""
    # Only here: Pulumi's libraries take their time, and no other command needs them.
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
        found: dict[str, Any] = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"run this in the project's directory, such as {places.ROOT}, with a stack that has a file"
        raise LocalError(f"{path.name} can't be read: {error.strerror}", remedy=remedy) from None
    return found


def _as_text(value: object) -> str:
    """A value as the engine would hand it over."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        return _ENCRYPTED
    return value if isinstance(value, str) else json.dumps(value)
