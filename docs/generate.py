"""Writes docs/reference/ from the code itself, so that it can't say anything else than the code does.

usage: python -m docs.generate            (make docs)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.metrics import metrics_page
from docs.page import page, table
from docs.rules import policies_page
from serinus.cli.main import app
from serinus.rollout.alert_guards import DEFAULTS, Guard
from serinus.rollout.canary_release import API_VERSION, KIND, crd
from serinus.rollout.manifest import Release
from serinus.rollout.yaml_text import read_yaml
from stacks.settings import Settings

ROOT = Path(__file__).parents[1]
_KINDS = {int: "NUMBER", float: "NUMBER", Path: "FILE"}


def pages() -> dict[str, str]:
    """Return every page by its path below docs/."""
    return {
        "reference/settings.md": settings_page((ROOT / "Pulumi.yaml").read_text(encoding="utf-8")),
        "reference/cli.md": cli_page(),
        "reference/crd.md": crd_page(),
        "reference/metrics.md": metrics_page(ROOT),
        "reference/policies.md": policies_page(),
    }


def settings_page(project: str) -> str:
    """Return the page of a stack's settings; `project` is the text of Pulumi.yaml, which has the defaults."""
    declared: Mapping[str, Mapping[str, Any]] = read_yaml(project)["config"]
    rows, parts = [], []
    for name, field in Settings.model_fields.items():
        about = declared.get(name, {})
        default = _default(about.get("default"))
        rows.append([f"`{name}`", about.get("description", ""), field.description or "", default])
        for model in dict.fromkeys(_models(field.annotation)):
            parts += _model_section(name, model)
    lines = [
        "# Settings of a stack",
        "`pulumi config set serinus:<name> <value>` sets one, or a line in `Pulumi.<stack>.yaml`. Numbers, lists and"
        " mappings are checked before anything changes, and every mistake is named at once.",
        *table(["setting", "what it is", "allowed", "default"], rows),
        *parts,
        "## `alerts`: what the guards are by default",
        *table(["guard", *Guard.model_fields], _guards()),
    ]
    return page(lines)


def cli_page() -> str:
    """Return the page of the command line."""
    root: Any = typer.main.get_command(app)
    lines = [
        "# The command line",
        "`serinus` is in the project's environment: `.venv/bin/serinus`. An error that one can act on is told in words,"
        " with a remedy, and exits with 1.",
    ]
    for words, command in _commands(["serinus"], root):
        lines += [f"## `{' '.join(words)}`", _plain(command.help or ""), *_usage(words, command)]
    return page(lines)


def crd_page() -> str:
    """Return the page of the CanaryRelease."""
    (version,) = crd()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    lines = [
        f"# {KIND}",
        f"`apiVersion: {API_VERSION}`, `kind: {KIND}`, one per service, named like it. `serinus install-crd` brings the"
        " definition. A stack writes the spec, the agent the status.",
    ]
    for part in ("spec", "status"):
        fields = schema["properties"][part]
        lines += [f"## {part}", *table(["field", "type", "what it is"], _fields(fields, ""))]
    rules = [rule["message"] for rule in _rules(schema)]
    lines += ["## What the API server refuses", *(f"* {rule}" for rule in dict.fromkeys(rules))]
    return page(lines)


def _guards() -> Iterator[list[str]]:
    for name, default in DEFAULTS.items():
        yield [f"`{name}`", *(f"`{default[key]}`" for key in Guard.model_fields)]


def _model_section(name: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## `{name}`: {_title(model)}"
    rows = []
    for key, field in model.model_fields.items():
        default = "" if field.default is PydanticUndefined else _default(_plain_value(field.default))
        rows.append([f"`{field.alias or key}`", field.description or _inner_description(field), default])
    yield from table(["key", "allowed", "default"], rows)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a setting is made of, those within them too. A release has a file of its own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not issubclass(annotation, Release):
            yield annotation
            for field in annotation.model_fields.values():
                yield from _models(field.annotation)
    else:
        for part in get_args(annotation):
            yield from _models(part)


def _inner_description(field: FieldInfo) -> str:
    named = [one.__name__ for one in _models(field.annotation)][:1]
    return f"a mapping, see {named[0]} below" if named else ""


def _plain_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return value.value if isinstance(value, Enum) else value


def _title(model: type[BaseModel]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()


def _default(value: Any) -> str:
    if value is None or value == "":
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).strip()
    return f"`{text.removesuffix('...').strip()}`"


def _commands(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    inner = getattr(command, "commands", {})
    if not inner or (command.callback is not None and len(words) > 1):
        yield words, command
    for name in sorted(inner):
        yield from _commands([*words, name], inner[name])


def _usage(words: Sequence[str], command: Any) -> Iterator[str]:
    arguments = [one for one in command.params if not one.opts[0].startswith("-")]
    options = [one for one in command.params if one.opts[0].startswith("-") and not one.hidden]
    needed = [f"{max(one.opts, key=len)} {_kind(one)}" for one in options if one.required]
    shown = [*words, *map(_argument, arguments), *needed]
    yield "```\n" + " ".join([*shown, *(["[options]"] if len(options) > len(needed) else [])]) + "\n```"
    rows = [[f"`{_argument(one)}`", _plain(one.help or ""), ""] for one in arguments]
    for one in options:
        names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
        rows.append([f"{names} {_kind(one)}".strip(), _plain(one.help or ""), _shown_default(one)])
    if rows:
        yield from table(["", "what it is", "default"], rows)


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _kind(option: Any) -> str:
    annotation = option.type_descriptor.annotation
    if option.is_flag:
        return ""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "\\|".join(str(one.value) for one in annotation)
    return _KINDS.get(annotation, "TEXT")


def _shown_default(option: Any) -> str:
    default = option.default
    if option.required or callable(default) or default in (None, "", False, ()):
        return ""
    return f"`{default}`"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[list[str]]:
    for name, field in sorted(schema.get("properties", {}).items()):
        here, listed = f"{path}.{name}", field.get("type") == "array"
        inner = field["items"] if listed and "items" in field else field
        kind = f"list of {inner.get('type', '')}s" if listed else str(field.get("format") or field.get("type", ""))
        needed = ", required" if name in schema.get("required", ()) else ""
        yield [f"`{here}`", kind + needed, field.get("description", "")]
        yield from _fields(inner, f"{here}[]" if listed else here)


def _rules(schema: Any) -> Iterator[Mapping[str, str]]:
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", [])
        for value in schema.values():
            yield from _rules(value)


def _plain(text: str) -> str:
    """Put a help text on one line, without the marks for a terminal."""
    return " ".join(re.sub(r"\[/?[a-z]*\]", "", text).split())


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        target = ROOT / "docs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
