"""Where runs live: one provider a place. `resolve` chooses by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.providers.base import Provider

if TYPE_CHECKING:
    from kit.config import Config

__all__ = ["Provider", "resolve"]


def resolve(config: Config) -> Provider:
    """
    Return the provider the settings choose.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If the provider lacks a setting.
    """
    config.get_workflow()
    if config.provider == "local":
        from kit.providers.local import LocalProvider

        return LocalProvider(config)
    from kit.providers.netlify import NetlifyProvider

    return NetlifyProvider(config)
