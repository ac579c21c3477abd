"""Reads from the stack's own files how its users are split. No cluster is asked, and the engine only for a secret."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from local import engine, places
from local.errors import LocalError
from serinus.rollout.canary_release import Rungs
from serinus.rollout.complaints import complaints
from serinus.rollout.manifest import ManifestError, load_release
from serinus.rollout.route import Declared
from serinus.rollout.routing import Split
from serinus.rollout.yaml_text import read_yaml

_SECONDS = 30.0


class Stack(NamedTuple):
    """How a stack splits its users, its weight now, the ids of its releases (canary: empty for none), and its place."""

    declared: Declared
    weight: int
    stable: str
    canary: str
    service: str
    namespace: str
    host: str


def read_stack(name: str, folder: Path | None = None) -> Stack:
    """Read the stack `name` of the project here, else of this checkout. Raises LocalError: what is missing or wrong."""
    here = folder or Path.cwd()
    root = here if (here / "Pulumi.yaml").exists() else places.ROOT
    file = root / f"Pulumi.{name}.yaml"
    if not file.exists():
        raise LocalError(f"there is no stack {name}: {file} is missing", remedy="name another with --stack")
    project = _yaml(root / "Pulumi.yaml")
    defaults = {key: entry.get("default") for key, entry in project["config"].items()}
    prefix = f"{project['name']}:"
    own = {key.removeprefix(prefix): value for key, value in (_yaml(file).get("config") or {}).items()}
    settings = defaults | own
    split = _split(settings["split"], file)
    # What the releases are called is told where there are any; who gets which does not depend on it.
    stable, canary = (_release_id(root, str(settings.get(role) or "")) for role in ("stable", "canary"))
    salt, testers = "", tuple[str, ...]()
    if split.by == "bucket":
        salt = str(_secret(settings["salt"], "salt", name, root, own.get("context")))
        found = _secret(settings["testers"], "testers", name, root, own.get("context"))
        testers = tuple(str(one) for one in cast(list[object], _parsed(found)))
        if split.salt_per == "release":
            salt = f"{salt}/{canary or stable}"
    try:
        rungs = TypeAdapter(Rungs).validate_python(_parsed(settings["ladder"]))
        weight = int(settings["weight"])
    except (ValidationError, ValueError) as error:
        raise LocalError(
            f"{file.name}: the ladder or the weight can't be used: {error}", remedy="pulumi preview"
        ) from None
    place = (str(settings[key]) for key in ("service", "namespace", "host"))
    return Stack(Declared(split, tuple(rung.weight for rung in rungs), salt, testers), weight, stable, canary, *place)


def _split(value: object, file: Path) -> Split:
    try:
        return Split.model_validate(_parsed(value))
    except ValidationError as error:
        told = "; ".join(complaints(Split, error))
        raise LocalError(f"{file.name}: the split can't be used: {told}", remedy="docs/routing.md") from None


def _parsed(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _secret(value: object, key: str, stack: str, root: Path, context: object) -> object:
    if not _is_sealed(value):
        return value
    environ = os.environ | (engine.environment() if context == places.CONTEXT else {})
    command = ["pulumi", "config", "get", f"serinus:{key}", "--stack", stack]
    try:
        done = subprocess.run(
            command, cwd=root, env=environ, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = (getattr(error, "stderr", "") or type(error).__name__).strip().splitlines()[-1]
        raise LocalError(f"the secret serinus:{key} can't be read: {why}", remedy=" ".join(command)) from None
    return done.stdout.strip()


def _is_sealed(value: object) -> bool:
    """Whether the engine keeps the value, or one of a list, as a secret."""
    return any(map(_is_sealed, value)) if isinstance(value, list) else isinstance(value, dict) and "secure" in value


def _release_id(root: Path, name: str) -> str:
    try:
        return load_release(root / "releases" / f"{name}.yaml").id if name else ""
    except ManifestError as error:
        raise LocalError(str(error), remedy="pulumi preview") from None


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise LocalError(f"{file} can't be read: {error}", remedy="write it as YAML") from None
    return found if isinstance(found, dict) else {}
