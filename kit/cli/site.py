"""The site that a command talks to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pydantic import SecretStr

    from kit.client.workflow_client import WorkflowClient


@contextmanager
def site(
    base_url: str | None, api_key: SecretStr | None, timeout: float
) -> Iterator[WorkflowClient]:
    """
    Give a client of the site that the options or the settings name.

    Raises:
        ConfigError: If they name none.
    """
    from kit.client.workflow_client import WorkflowClient
    from kit.model.errors import ConfigError
    from kit.project.config import load

    config = load(base_url=base_url, api_key=api_key)
    if base_url is None and config.enabled and config.provider == "local":
        msg = (
            f"there is no site to send to: the provider is 'local' ({config.origins['provider']})."
            " `kit run` runs a workflow here, `kit runs` shows what ran; for a site, give"
            " --base-url or set WORKFLOW_BASE_URL"
        )
        raise ConfigError(msg)
    with WorkflowClient(base_url, api_key, timeout=timeout) as client:
        yield client


@contextmanager
def used_rightly() -> Iterator[None]:
    """Turn what is wrong with an option's value into a message about how to use the command."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error)) from None
