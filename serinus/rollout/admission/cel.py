"""Writes values and sentences as CEL."""

from collections.abc import Mapping
from string import Formatter

from serinus.rollout.rules import Value


def sentence(template: str, values: Mapping[str, str]) -> str:
    """Turn a template with {names} into CEL that fills in the values."""
    filled, named = "", []
    for written, name, _, _ in Formatter().parse(template):
        filled += written.replace("%", "%%")
        if name is not None:
            filled += "%s"
            named.append(values[name])
    return f"{text(filled)}.format([{', '.join(named)}])" if named else text(filled.replace("%%", "%"))


def literal(value: Value) -> str:
    """Write a value as CEL."""
    if isinstance(value, bool):
        return str(value).lower()
    return text(value) if isinstance(value, str) else str(value)


def text(value: str) -> str:
    """Write a text as CEL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
