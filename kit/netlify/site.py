"""The site that is spoken to, and its key, which appears nowhere but in a header."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Site:
    """The site events go to. The key stays out of the repr, and so out of logs and errors."""

    origin: str
    api_key: str | None = field(default=None, repr=False)

    def key_header(self) -> dict[str, str]:
        """Return the header that shows the key, if there is one."""
        return {} if self.api_key is None else {"authorization": f"Bearer {self.api_key}"}

    def clean(self, text: str) -> str:
        """Return a *text* from outside in one printable line, without the key."""
        line = " ".join(text.split())
        if self.api_key:
            line = line.replace(self.api_key, "(the key)")
        return "".join(each if each.isprintable() else "?" for each in line)[:200]
