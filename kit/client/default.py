"""What the functions of `kit` use: one provider, and the workflows at hand."""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from kit.model.errors import DiscoveryError, WorkflowError
from kit.project.catalog import Catalog
from kit.project.loading import loading
from kit.project.underway import is_importing

if TYPE_CHECKING:
    from kit.client.provider import Provider


class Default(NamedTuple):
    """Where runs live, and which workflows are at hand here."""

    provider: Provider
    catalog: Catalog


_USED_LATER = ("kit.client.handle", "kit.client.sending", "kit.model.text")
"""Modules that each start loads: done at once, while no fork can come between."""

_lock = threading.Lock()
_default: Default | None = None


def default() -> Default:
    """
    Return the default of this process; the settings are read at the first use.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If the settings are wrong.
        DiscoveryError: If a workflow file asks while it is imported.
    """
    global _default
    found = _default
    if found is None:
        with loading(), _lock:
            if _default is None:
                _default = _made()
            found = _default
    found.catalog.refuse_imports()
    return found


def _made() -> Default:
    from kit.client.choice import resolve
    from kit.project.config import load

    config = load()
    catalog = Catalog.of(config)
    for name in _USED_LATER:
        import_module(name)
    return Default(resolve(config, catalog), catalog)


def provider() -> Provider:
    """Return the provider of this process; see `default`."""
    return default().provider


def refuse_imports() -> None:
    """
    Refuse a workflow file that waits for something while it is imported: it would wait for itself.

    Raises:
        DiscoveryError: If this thread imports one, and it is the default's.
    """
    if not is_importing():
        return
    try:
        default()
    except DiscoveryError:
        raise
    except WorkflowError:
        return  # whoever needs the settings hears what is wrong with them


def use(chosen: Default | None) -> Default | None:
    """
    Use *chosen* from now on; with None, read the settings again at the next use.

    Returns the one used so far, if there was one; closing it is its owner's.
    """
    global _default
    with _lock:
        before, _default = _default, chosen
        return before


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it
    if _default is not None:
        _default.catalog.begin_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
