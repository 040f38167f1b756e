"""Settings as people and programs read them; the key is never among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.project.config import Config

_HIDDEN = "set (hidden)"


def _settings(config: Config) -> dict[str, tuple[Any, str]]:
    """Return each setting, as files spell it, with its value and origin; the key is masked."""
    from kit.project.files import camel_case
    from kit.project.settings import FIELDS

    if config.workflow is None:
        return {"workflow": (False, str(config.origins["workflow"]))}
    values = {name: getattr(config.workflow, name) for name in FIELDS}
    values |= {"provider": config.provider, "api_key": _HIDDEN if config.api_key else None}
    return {camel_case(name): (value, str(config.origins[name])) for name, value in values.items()}


def settings_json(config: Config) -> dict[str, Any]:
    """Return the settings as JSON."""
    hosting = config.hosting
    return {
        "enabled": config.enabled,
        "root": str(config.root),
        "file": config.file and config.file.name,
        "hosting": {
            "isNetlify": hosting.is_netlify,
            "reason": hosting.reason,
            "context": hosting.context,
        },
        "settings": {
            name: {"value": value, "origin": origin}
            for name, (value, origin) in _settings(config).items()
        },
    }


def settings_rows(config: Config) -> list[tuple[str, str, str]]:
    """Return a row of name, value and origin for each setting, and for what was found out."""
    found = _settings(config).items()
    rows = [(name, _plain(value), origin) for name, (value, origin) in found]
    hosting = "Netlify" if config.hosting.is_netlify else "not Netlify"
    if config.hosting.context:
        hosting += f", context {config.hosting.context}"
    file = str(config.file) if config.file else "none found"
    return [*rows, ("hosting", hosting, config.hosting.reason), ("file", file, "")]


def _plain(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "false" if value is False else str(value)
