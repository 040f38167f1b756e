"""
What was typed, before the commands read it: the key is taken out, and odd bytes are refused.

The parser keeps the list it is given in its frames, and so do those who report crashes: what stands
in the key's place there is a mark, which the option turns back into the key, wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pydantic import SecretStr

KEY_OPTION = "--api-key"
_MARK = "(hidden)"
_given: list[SecretStr] = []
"""The key that the mark stands for."""


def hide_key(arguments: list[str]) -> None:
    """Put a mark in the key's place among *arguments*, and remember the key."""
    _given.clear()
    for index in range(len(arguments)):
        option, equals, _ = arguments[index].partition("=")
        if option == KEY_OPTION and equals:
            _keep(arguments[index].partition("=")[2])
            arguments[index] = f"{KEY_OPTION}={_MARK}"
        elif index and arguments[index - 1] == KEY_OPTION:
            _keep(arguments[index])
            arguments[index] = _MARK


def given_key(text: str) -> SecretStr:
    """Return the key that an option's *text* stands for."""
    if text != _MARK or not _given:
        _keep(text)
    return _given[0]


def _keep(key: str) -> None:
    from pydantic import SecretStr  # most commands take no key, and need nothing of pydantic's

    _given[:] = [SecretStr(key)]


def check_encoding(arguments: Sequence[str]) -> None:
    """
    Refuse bytes that are no UTF-8, but in what names a file: nothing else could keep them.

    Raises:
        BadParameter: If there is one; it names the argument.
    """
    for argument in arguments:
        if argument.startswith("@") or arguments[0] == "init":
            continue
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode("utf-8", "backslashreplace").decode()
            msg = f"{shown!r} holds a byte that is not UTF-8: check the terminal's encoding"
            raise typer.BadParameter(msg) from None
