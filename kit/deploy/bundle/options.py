"""What a build is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kit.deploy.bundle.target import Machine
from kit.deploy.bundle.tree import EPOCH
from kit.project.config import Config
from kit.project.files import camel_case

Observe = Callable[[str, str], None]
"""Is told what begins, `("site", "")`, and what came of it, `("site", "9.1 MB")`."""

_NOT_FOR_FUNCTIONS = ("api_key", "bundle", "include", "provider", "python")


def ignore(what: str, outcome: str) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """
    What to build and how. `environ` is the environment of the build, `machine` what it runs on.

    With `use_running` the interpreter is this machine's own; with `check` no entry is written and
    a warning counts as an error; with `measure` import times are taken.
    """

    config: Config
    environ: Mapping[str, str]
    machine: Machine = field(default_factory=Machine.here)
    use_running: bool = False
    check: bool = False
    measure: bool = False
    observe: Observe = ignore

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.config.root

    @property
    def folder(self) -> str:
        """The workflows' folder, relative to the root."""
        return str(PurePosixPath(self.config.get_workflow().folder.replace("\\", "/")))

    @property
    def api_folder(self) -> PurePosixPath:
        """The folder of HTTP modules, beside that of the workflows, relative to the root."""
        return PurePosixPath(self.folder).parent / "api"

    @property
    def moment(self) -> int:
        """The time every file in the bundle gets."""
        given = self.environ.get("SOURCE_DATE_EPOCH", "")
        return max(int(given), EPOCH) if given.isdecimal() else EPOCH

    @property
    def settings(self) -> dict[str, str | int]:
        """
        The settings a function has to know: those of the project's file, without the key.

        Nor does it get the provider: it runs on Netlify, whatever the file says for elsewhere.
        """
        workflow = self.config.get_workflow()
        names = [name for name, origin in self.config.origins.items() if origin.kind == "file"]
        return {
            camel_case(name): getattr(workflow, name)
            for name in names
            if name not in _NOT_FOR_FUNCTIONS
        }
