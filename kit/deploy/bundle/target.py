"""Where functions run, and whether this machine is like that."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Self

GLIBC = (2, 34)
"""What Netlify's functions have: Amazon Linux 2023."""

PLATFORMS = ("x86_64-manylinux_2_28", "x86_64-manylinux_2_34")
"""Which wheels to take, as uv names them: the first that has them all, never beyond `GLIBC`."""

MARKERS = {
    "extra": "",
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}
"""What a requirement's conditions (PEP 508) are judged by, apart from Python's version."""

INTERPRETER = "linux-x86_64-gnu"
"""The build of CPython to take, as uv names it. With musl there are no extension modules."""

MAX_UNZIPPED = 250 * 1024 * 1024
MAX_ZIPPED = 50 * 1024 * 1024
"""What a function may have, by Lambda's rules."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine a build runs on."""

    system: str
    architecture: str

    @classmethod
    def here(cls) -> Self:
        """Return this machine."""
        return cls(platform.system(), platform.machine())

    @property
    def runs_bundle(self) -> bool:
        """Whether the bundle's interpreter can be started here."""
        return self.system == "Linux" and self.architecture in ("x86_64", "AMD64")

    def __str__(self) -> str:
        return f"{self.system} {self.architecture}"
