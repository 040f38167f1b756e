"""Which provider it is: `resolve` chooses one by the settings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kit.client.provider import Provider
from kit.model.errors import ConfigError

if TYPE_CHECKING:
    from kit.project.catalog import Catalog
    from kit.project.config import Config


def resolve(config: Config, catalog: Catalog) -> Provider:
    """
    Return the provider the settings choose; *catalog* is where a local one finds workflows.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If the provider lacks a setting, or cannot do what one asks for.
    """
    config.get_workflow()  # unless workflows are switched off
    if config.provider == "local":
        return _local(config, catalog)
    from kit.client.netlify import NetlifyProvider

    return NetlifyProvider(config)


def _local(config: Config, catalog: Catalog) -> Provider:
    try:
        # by name: what a statement here could import would be bundled into every function
        module = import_module("kit.client.local")
    except ModuleNotFoundError as error:
        if error.name != "kit.client.local":
            raise
        msg = (
            f"the provider is 'local' ({config.origins['provider']}), and a deployed function has"
            " no engine, nor a file that outlasts it: take the setting away there, and its runs"
            " live on Netlify"
        )
        raise ConfigError(msg) from None
    provider: Provider = module.LocalProvider(config, catalog)
    return provider
