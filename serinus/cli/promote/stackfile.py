"""The stack's file, changed as a careful person changes it: the lines that say it, and no byte else.

A YAML library would write the whole file anew: other quotes, other lists, no comments. The reviewer of a pull request
should see the one number that moved. So the text is edited, and then parsed to prove that it says what it should.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.errors import LocalError
from serinus.rollout.yaml_text import read_yaml

Value = str | int | list[str]

_KIN = ("stable", "canary", "weight", "previous", "retain")
_PLAIN = re.compile(r"[A-Za-z][-A-Za-z0-9_.]*")
# Words that YAML reads as something else than text.
_NO_TEXT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


class StackFile:
    """Pulumi.<stack>.yaml of a project, and the defaults of its settings."""

    def __init__(self, folder: Path, stack: str) -> None:
        """Raises LocalError where project or stack file can't be read."""
        self.folder = folder
        self.path = folder / f"Pulumi.{stack}.yaml"
        project = _parsed(_read(folder / "Pulumi.yaml"), folder / "Pulumi.yaml")
        self.project = str(project.get("name", ""))
        self._defaults = {
            str(key): (declared or {}).get("default", "") for key, declared in (project.get("config") or {}).items()
        }

    def text(self) -> str:
        """The file as it is now. Raises LocalError where it can't be read."""
        return _read(self.path)

    def settings(self, text: str | None = None) -> dict[str, Any]:
        """The settings with their defaults, by their keys without the project's name. Raises LocalError."""
        given = _config(_parsed(self.text() if text is None else text, self.path))
        prefix = f"{self.project}:"
        own = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
        return {**self._defaults, **own}

    def changed(self, changes: Mapping[str, Value], text: str | None = None) -> str:
        """Return the file's text with these settings changed; keys are without the project's name.

        Raises LocalError where the file is written in a way that no line can be changed in; it says what to write.
        """
        before = self.text() if text is None else text
        after = before
        for key, value in changes.items():
            after = _with(after, f"{self.project}:{key}", value)
        wanted = {f"{self.project}:{key}": value for key, value in changes.items()}
        if not _says(after, before, wanted):
            told = ", ".join(f"{key}: {_flow(value)}" for key, value in wanted.items())
            raise LocalError(
                f"{self.path.name} is written in a way that no line of it can be changed safely",
                remedy=f"Write it yourself: {told}",
            )
        return after

    def write(self, text: str) -> None:
        """Replace the file as a whole, so that a killed writer leaves the old one or the new one."""
        mode = self.path.stat().st_mode
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
            part.chmod(mode)
            part.replace(self.path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def _with(text: str, key: str, value: Value) -> str:
    """Change or add one key of the mapping `config`; where no line can be found the text stays as it is."""
    pairs = _pairs(text)
    old = next((node for name, node in pairs.items() if name.value == key), None)
    if old is not None:
        if isinstance(value, list) and isinstance(old, yaml.SequenceNode) and not old.flow_style and old.value:
            return _with_block_list(text, old, value)
        scalars = old.value if isinstance(old, yaml.SequenceNode) else [old]
        style = next((one.style for one in scalars if isinstance(one, yaml.ScalarNode)), None)
        return text[: old.start_mark.index] + _flow(value, style) + text[old.end_mark.index :]
    on_one_line = [(name, node) for name, node in pairs.items() if name.start_mark.line == node.end_mark.line]
    if not on_one_line:
        return text
    # Beside the settings of the same matter, where a reader looks for it.
    anchor = next((pair for pair in reversed(on_one_line) if pair[0].value.rpartition(":")[2] in _KIN), on_one_line[-1])
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if text.splitlines(keepends=True)[0].endswith("\r\n") else "\n"
    number = anchor[0].start_mark.line
    if not lines[number].endswith("\n"):
        lines[number] += ending
    lines.insert(number + 1, f"{' ' * anchor[0].start_mark.column}{key}: {_flow(value)}{ending}")
    return "".join(lines)


def _with_block_list(text: str, old: yaml.SequenceNode, value: list[str]) -> str:
    """Keep the lines of the items that stay; the others go, and new ones come first, as the newest does."""
    lines = text.splitlines(keepends=True)
    if any(one.start_mark.line != one.end_mark.line for one in old.value):
        return text
    where = {one.value: one.start_mark.line for one in old.value}
    first = min(where.values())
    if not value:
        key_line = lines[first - 1]
        body = key_line.rstrip("\r\n")
        lines[first - 1] = f"{body} []{key_line[len(body) :]}"
    example = lines[first]
    dash = example.index("-")
    ending = example[len(example.rstrip("\r\n")) :] or "\n"
    style = old.value[0].style
    new = [f"{example[:dash]}- {_scalar(one, style)}{ending}" for one in value if one not in where]
    gone = {line for name, line in where.items() if name not in value}
    kept = [line for number, line in enumerate(lines) if number not in gone]
    return "".join([*kept[:first], *new, *kept[first:]])


def _pairs(text: str) -> dict[yaml.ScalarNode, yaml.Node]:
    """The keys and values of the mapping `config`, as the parser found them, in their order."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for name, node in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == "config" and isinstance(node, yaml.MappingNode) and not node.flow_style:
            return {key: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    return {}


def _says(after: str, before: str, wanted: Mapping[str, Value]) -> bool:
    """Tell whether the change, and nothing else, has been made. The engine takes every setting as text."""
    try:
        old, new = read_yaml(before), read_yaml(after)
    except yaml.YAMLError:
        return False
    if not isinstance(new, dict) or not isinstance(new.get("config"), dict):
        return False
    rest_of_new = {key: value for key, value in new["config"].items() if key not in wanted}
    rest_of_old = {key: value for key, value in old["config"].items() if key not in wanted}
    said = {key: new["config"].get(key) for key in wanted}
    return (
        all(
            value == wanted[key] or (isinstance(value, str) and value == str(wanted[key]))
            for key, value in said.items()
        )
        and rest_of_new == rest_of_old
        and {key: value for key, value in new.items() if key != "config"}
        == {key: value for key, value in old.items() if key != "config"}
    )


def _flow(value: Value, style: str | None = None) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(one, style) for one in value)}]"
    return _scalar(value, style)


def _scalar(value: str | int, style: str | None) -> str:
    text = str(value)
    if style == "'":
        return f"'{text}'"
    if style == '"' or (isinstance(value, str) and (not _PLAIN.fullmatch(text) or text.lower() in _NO_TEXT)):
        return f'"{text}"'
    return text


def _config(document: Mapping[str, Any]) -> dict[str, Any]:
    config = document.get("config") or {}
    return config if isinstance(config, dict) else {}


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        document = read_yaml(text)
    except yaml.YAMLError as error:
        raise LocalError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise LocalError(f"{path.name} holds no mapping", remedy="Write it as `pulumi config set` does.")
    return document


def _read(path: Path) -> str:
    try:
        # As bytes, so that the ends of lines stay what they are.
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path.name} can't be read: {error}") from None
