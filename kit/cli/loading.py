"""Commands that are imported when they are named or listed, so that each pays for itself only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer.main
from typer.core import TyperGroup


class Commands(Mapping[str, Any]):
    """Commands by name; each comes from its place, `module:name`, when it is first asked for."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._places[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def group_of(places: Mapping[str, str]) -> type[TyperGroup]:
    """Return the class of a group that has the commands at *places*, in that order."""

    class Group(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands: Any = Commands(places)

        def list_commands(self, ctx: Any) -> list[str]:
            return list(self.commands)

    return Group


def _load(name: str, place: str) -> Any:
    """Return the command or group that lies at *place*, as it is called *name*."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    holder = typer.Typer(rich_markup_mode=None, add_completion=False)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
        group: Any = typer.main.get_command(holder)
        return group.commands[name]
    holder.command(name)(found)
    return typer.main.get_command(holder)
