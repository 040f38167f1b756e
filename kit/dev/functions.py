"""
The project's HTTP functions at their paths: `functions/api/users/[id].py` at `/api/users/7`.

A module is imported when it is first asked for, and again after its file, or one it imports, has
changed. If that fails its last good version stays in use; what is wrong is told.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from kit.deploy.bundle.plan import HttpModule, http_module, http_name
from kit.deploy.bundle.tree import files_in
from kit.deploy.function.methods import methods_app
from kit.dev.guard import App, Receive, Scope, Send
from kit.dev.lifespan import Lifespan
from kit.model.errors import BuildError
from kit.model.failure import failure_of
from kit.project.importing import exclusively, load_module

FUNCTIONS_PATH = "/.netlify/functions/"
_PARAMETER = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Found:
    """An HTTP function, and which paths it answers."""

    module: HttpModule
    pattern: re.Pattern[str]

    @property
    def file(self) -> str:
        """Its file, relative to the project's root."""
        return self.module.path


class Functions:
    """The HTTP functions of *folder* in the project at *root*."""

    def __init__(self, root: Path, folder: PurePosixPath, tell: Callable[[str], None]) -> None:
        self._root = root
        self._folder = folder
        self._tell = tell
        self._modules: dict[str, ModuleType] = {}
        self._stale: set[str] = set()
        self._lifespans: dict[App, Lifespan] = {}
        self.found: Sequence[Found] = ()
        self.look()

    def look(self) -> None:
        """Look for files again; each is imported again when it is next asked for."""
        found = []
        for path in files_in(self._root / self._folder):
            parts = PurePosixPath(path).parts
            if path.endswith(".py") and not any(part.startswith(("_", ".")) for part in parts):
                try:
                    module = http_module(self._folder / path, self._folder)
                except BuildError as error:
                    self._tell(f"error: {error.message}")
                else:
                    found.append(Found(module, _pattern(module.route)))
        # a fixed part goes before a parameter in its place
        self.found = sorted(found, key=lambda each: each.module.route.replace(":", "~"))
        self._stale = {each.file for each in found}

    def move(self, folder: PurePosixPath) -> None:
        """Look in another folder from now on."""
        self._folder = folder
        self.look()

    def match(self, path: str) -> tuple[Found, dict[str, str]] | None:
        """Return the function that answers *path*, and the path's parameters."""
        for each in self.found:
            if match := each.pattern.fullmatch(path):
                return each, match.groupdict()
        return None

    def named(self, path: str) -> Found | None:
        """Return the function that Netlify would know under the path's name, or None."""
        name = path.removeprefix(FUNCTIONS_PATH)
        return next((each for each in self.found if http_name(each.module) == name), None)

    async def answer(
        self, found: Found, params: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request; what goes wrong is told in full here, and as 500 to the client."""
        began = False

        async def say(message: Scope) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            module = await asyncio.to_thread(self._load, found.file)
            inside = {**scope, "path_params": params}
            app = getattr(module, "app", None)
            if app is None:
                await methods_app(module)(inside, receive, say)
            else:
                await self._serve(app, inside, receive, say)
        except HTTPException:
            raise  # such as a body beyond the limit: it has its own answer
        except Exception as error:
            if began:
                raise  # a part of it is sent: the connection breaks off
            self._tell(f"{scope['method']} {scope['path']}\n{failure_of(error).traceback.rstrip()}")
            await PlainTextResponse("Internal Server Error", 500)(scope, receive, say)

    async def close(self) -> None:
        """Stop the applications that were started."""
        lifespans, self._lifespans = self._lifespans, {}
        await asyncio.gather(*(each.stop() for each in lifespans.values()))

    async def _serve(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        lifespan = self._lifespans.get(app)
        if lifespan is None:
            lifespan = self._lifespans[app] = Lifespan(app)
        await lifespan.started()
        path = scope["path"]
        # an application's own root is "/", which Netlify takes for the same address
        inside = path if path.endswith("/") else f"{path}/"
        own = {"root_path": path.rstrip("/"), "path": inside, "raw_path": quote(inside).encode()}
        await app({**scope, **own, "state": dict(lifespan.state)}, receive, send)

    def _load(self, file: str) -> ModuleType:
        if file not in self._stale:
            return self._modules[file]
        try:
            with exclusively():
                module = load_module(self._root / file, self._root)
        except Exception:
            if file not in self._modules:
                raise
            self._stale.discard(file)
            self._tell(f"{file} cannot be imported; its last good version answers\n{_trace()}")
            return self._modules[file]
        self._stale.discard(file)
        self._modules[file] = module
        return module


def _pattern(route: str) -> re.Pattern[str]:
    parts = [
        f"(?P<{match[1]}>[^/]+)" if (match := _PARAMETER.fullmatch(part)) else re.escape(part)
        for part in route.split("/")
    ]
    return re.compile(f"{'/'.join(parts)}/?")


def _trace() -> str:
    return traceback.format_exc().rstrip()
