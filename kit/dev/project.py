"""The project `kit dev` serves: its settings, workflows and functions, as they are saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kit.dev import reloading
from kit.dev.functions import Functions
from kit.dev.publish import publish_folder
from kit.dev.watching import SETTINGS
from kit.dev.workflows import LiveWorkflows
from kit.model.errors import WorkflowError, WorkflowImportError
from kit.project.config import Config, load
from kit.project.discovery import Discovery, discover

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a change has led to: whether settings are others, and modules were imported again."""

    settings: bool = False
    modules: bool = False


class DevProject:
    """
    The project of *config*. Nothing is imported before `load`.

    Raises:
        ConfigError: If `netlify.toml` cannot be read.
    """

    def __init__(self, config: Config, tell: Tell) -> None:
        self.config = config
        self.workflows = LiveWorkflows(self._discover)
        self._tell = tell
        self._told: set[str] = set()
        self.folder = publish_folder(config.root)
        self.functions = Functions(config.root, self._api_folder, tell)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.config.root

    @property
    def _api_folder(self) -> PurePosixPath:
        """The folder of HTTP functions: beside that of the workflows, as `kit build` has it."""
        return PurePosixPath(self.config.get_workflow().folder.replace("\\", "/")).parent / "api"

    async def load(self) -> None:
        """Import the workflows, in a thread; files that are wrong are told of."""
        await asyncio.to_thread(self.workflows.load)
        self._tell_errors()

    async def close(self) -> None:
        """Stop what functions have started."""
        await self.functions.close()

    async def saved(self, files: Iterable[Path]) -> Reloaded:
        """Take up what was saved; what is wrong is told of, and leaves things as they were."""
        files = set(files)
        settings = any(file.parent == self.root and file.name in SETTINGS for file in files)
        if settings:
            settings = self._load_settings()
        sources = {file for file in files if file.suffix == ".py"}
        if sources or settings:
            await asyncio.to_thread(reloading.drop, sources, self.root)
            await self.functions.close()
            self.functions.look()
            await self.load()
        return Reloaded(settings, bool(sources) or settings)

    def _load_settings(self) -> bool:
        try:
            config = load(self.root)
            config.get_workflow()
            folder = publish_folder(self.root)
        except WorkflowError as error:
            self._tell(f"error: {error.message}\nThe settings stay as they were.")
            return False
        self.config, self.folder = config, folder
        self.functions.move(self._api_folder)
        return True

    def _discover(self) -> Discovery:
        return discover(self.config.folder, root=self.config.root)

    def _tell_errors(self) -> None:
        """Tell of each error once, and again only after the file was right in between."""
        texts = {_text(error) for error in self.workflows.errors}
        if self.workflows.failure is not None:
            texts.add(_text(self.workflows.failure))
        for text in sorted(texts - self._told):
            self._tell(text)
        self._told = texts


def _text(error: WorkflowError) -> str:
    trace = error.traceback_text.rstrip() if isinstance(error, WorkflowImportError) else ""
    return f"{trace}\nerror: {error.message}" if trace else f"error: {error.message}"
