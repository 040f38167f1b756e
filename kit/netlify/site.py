"""The site that is spoken to, and its key, which is shown nowhere but in a header."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Site:
    """The site events go to. The key is wrapped, and so stays out of logs, errors and reports."""

    origin: str
    api_key: SecretStr | None = None

    def clean(self, text: str) -> str:
        """Return a *text* from outside in one printable line, without the key."""
        line = " ".join(text.split())
        if self.api_key:
            line = line.replace(self.api_key.get_secret_value(), "(the key)")
        return "".join(each if each.isprintable() else "?" for each in line)[:200]
