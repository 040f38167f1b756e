"""Where runs live: one provider a place. `resolve` chooses by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.providers.base import Provider

if TYPE_CHECKING:
    from kit.config import Config

__all__ = ["Provider", "resolve"]


def resolve(config: Config) -> Provider:
    """
    Return the provider the settings choose.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If the provider lacks a setting, or cannot do what one asks for.
    """
    settings = config.get_workflow()
    if config.provider == "local":
        from kit.providers.local import LocalProvider

        return LocalProvider(config)
    if settings.store == "blobs":
        msg = (
            "store: blobs (WORKFLOW_STORE) is not available in this version of the kit; leave it"
            " out, and checkpoints travel in the event itself (store: awl)"
        )
        raise ConfigError(msg)
    from kit.providers.netlify import NetlifyProvider

    return NetlifyProvider(config)
