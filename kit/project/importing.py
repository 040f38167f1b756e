"""
Importing a project's files: under which module names, and when again.

Python's own import does the work; this tells it where the modules of one project are.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from importlib.util import cache_from_source, spec_from_file_location
from pathlib import Path
from types import ModuleType

_TAKEN = sys.stdlib_module_names | {"kit"}
_lock = threading.RLock()


class _Finder:
    """
    Tells Python where the modules of the discovered project are, before `sys.path` is asked.

    So a project's `functions` is that project's, whatever else is on the path, and Python's own
    import does the rest: locks, parent packages, removing what failed half-way.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Know no project."""
        self.root: Path | None = None
        self.added = "-"  # our entry on sys.path, to be taken back when the root changes
        self.places: dict[str, Path] = {}
        self.came: set[str] = set()  # modules that came in with a discovery

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module that was claimed, a folder being a package."""
        place = self.places.get(name)
        if place is None:
            return None
        if not place.is_dir():
            return spec_from_file_location(name, place)
        init = place / "__init__.py"
        if init.is_file():
            return spec_from_file_location(name, init, submodule_search_locations=[str(place)])
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
        return spec

    def enter(self, root: Path) -> None:
        """Put *root* first on `sys.path`, and forget what would be taken for its modules."""
        importlib.invalidate_caches()
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        if root != self.root:
            drop = {str(root), self.added}
            self.added = "-" if str(root) in sys.path else str(root)
            sys.path[:] = [str(root), *(entry for entry in sys.path if entry not in drop)]
            self.root = root
            self.places.clear()
            for name in list(self.came):
                folder = root.joinpath(*name.split("."))
                file = folder.with_name(f"{folder.name}.py")
                if folder.is_dir() or file.is_file():
                    self.came.discard(name)
                    if _place(sys.modules.get(name)) not in (folder, file):
                        sys.modules.pop(name, None)

    def leave(self) -> None:
        """Take all of it back: the modules, the entry on `sys.path`, the finder itself."""
        claimed = {
            name for name, place in self.places.items() if _place(sys.modules.get(name)) == place
        }
        gone = {name.split(".")[0] for name in self.came | claimed}
        for name in list(sys.modules) if gone else ():
            if name.partition(".")[0] in gone:
                del sys.modules[name]
        sys.path[:] = [entry for entry in sys.path if entry != self.added]
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self.clear()

    def claim(self, file: Path, root: Path) -> str:
        """Give *file* and the folders above it their module names; return the file's."""
        parts = (file.parent if file.name == "__init__.py" else file).relative_to(root).parts
        name = ""
        for depth in range(1, len(parts) + 1):
            relative = Path(*parts[:depth])
            name += ("." if name else "") + _part(root / relative, relative)
            self.places[name] = root / relative
            if name in sys.modules and _place(sys.modules[name]) != root / relative:
                del sys.modules[name]
        return name

    def load(self, name: str) -> ModuleType:
        """Import the module, and note what came with it."""
        before = set(sys.modules)
        _importing.append(name)
        try:
            return importlib.import_module(name)
        finally:
            _importing.pop()
            for new in set(sys.modules) - before:
                place = _place(sys.modules[new])
                if place and self.root and place.is_relative_to(self.root):
                    self.came.add(new)


_finder = _Finder()
_importing: list[str] = []


@contextmanager
def exclusively() -> Iterator[None]:
    """
    Let one thread discover at a time.

    Raises:
        RuntimeError: If a file that is being imported wants to discover.
    """
    with _lock:
        if _importing:
            msg = (
                "workflows cannot be discovered while one of them is being imported;"
                " start runs inside functions, not at a file's top level"
            )
            raise RuntimeError(msg)
        yield


def forget() -> None:
    """
    Take back what loading a project's files has done to this process, as if none had been.

    For tests, and for whoever is done with a project. A workflow that is held goes on working.
    """
    with _lock:
        _finder.leave()


def load_module(file: Path, root: Path) -> ModuleType:
    """Import *file* below *root*, or return its module as long as the file has not changed."""
    _finder.enter(root)
    name = _finder.claim(file, root)
    info = file.stat()
    stamp = (info.st_mtime_ns, info.st_size)
    known = sys.modules.get(name)
    if known is not None and vars(known).setdefault("__workflow_stamp__", stamp) != stamp:
        del sys.modules[name]
        # bytecode is told apart by whole seconds only: a quick change would not be seen
        with suppress(OSError):
            Path(cache_from_source(str(file))).unlink(missing_ok=True)
    module = _finder.load(name)
    vars(module).setdefault("__workflow_stamp__", stamp)
    return module


def _place(module: ModuleType | None) -> Path | None:
    """Return a module's file, or a package's folder, if it has one."""
    folders = list(getattr(module, "__path__", ()))
    place = folders[0] if folders else getattr(module, "__file__", None)
    return Path(place) if isinstance(place, str) else None


def _part(place: Path, relative: Path) -> str:
    """
    Return the part of a module name that *place* gives.

    Its own name, unless that is no identifier, is a module of Python or the kit, or belongs to a
    sibling (`emails.py` before a plain folder `emails`, a package `emails` before both).
    """
    if place.suffix == ".py" and not place.is_dir():
        stem, is_second = place.stem, (place.with_suffix("") / "__init__.py").exists()
    else:
        stem, has_init = place.name, (place / "__init__.py").exists()
        is_second = place.with_name(f"{stem}.py").exists() and not has_init
    is_taken = len(relative.parts) == 1 and stem in _TAKEN
    if stem.isidentifier() and not is_second and not is_taken:
        return stem
    # derived from the path: the same in every process, and another for every file
    return f"{re.sub(r'[^0-9a-zA-Z]', '_', stem)}_{zlib.crc32(os.fsencode(relative)):08x}"
