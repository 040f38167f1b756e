"""What the functions of `kit` use: one provider, and the workflows at hand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from kit.project.catalog import Catalog

if TYPE_CHECKING:
    from kit.client.provider import Provider


class Default(NamedTuple):
    """Where runs live, and which workflows are at hand here."""

    provider: Provider
    catalog: Catalog


_lock = threading.Lock()
_default: Default | None = None


def default() -> Default:
    """
    Return the default of this process; the settings are read at the first use.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If the settings are wrong.
    """
    global _default
    with _lock:
        if _default is None:
            from kit.client.provider import resolve
            from kit.project.config import load

            config = load()
            catalog = Catalog.of(config)
            _default = Default(resolve(config, catalog), catalog)
        return _default


def provider() -> Provider:
    """Return the provider of this process; see `default`."""
    return default().provider


def use(chosen: Default | None) -> Default | None:
    """
    Use *chosen* from now on; with None, read the settings again at the next use.

    Returns the one used so far, if there was one; closing it is its owner's.
    """
    global _default
    with _lock:
        before, _default = _default, chosen
        return before
