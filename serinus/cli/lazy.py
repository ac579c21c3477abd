"""Loads a command when it is used: whoever rolls back must not wait for what only a promoter or a report needs."""

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


class _Commands(UserDict[str, Any]):
    """Commands by name, each loaded at its first use from `module:attribute`."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self.data[name] = _load(name, found)
        return found


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """The class of a group of commands; `places` has the `module:attribute` of each, a function or a Typer."""

    class Lazy(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = _Commands(places)

    return Lazy


def _load(name: str, place: str) -> Any:
    module_name, _, attribute = place.partition(":")
    module = import_module(module_name)
    found = getattr(module, attribute)
    # Typer makes commands for a group of its own; one more beside it, or it would make no group.
    group = typer.Typer(add_completion=False, rich_markup_mode="rich")
    group.callback()(_nothing)
    if isinstance(found, typer.Typer):
        group.add_typer(found, name=name)
    else:
        group.command(name=name, help=getattr(module, "HELP", None))(found)
    made: Any = typer.main.get_command(group)
    return made.commands[name]


def _nothing() -> None:
    """A group with a callback stays a group, with one command, too."""
