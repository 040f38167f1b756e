"""
Which modules have to be imported again after files have changed: those, and all that import them.

What imports what is read from the sources, with what is imported inside functions; an import under
a name made at run time is not seen. Only a project's own modules are ever dropped.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from kit.project.importing import exclusively

IGNORED = frozenset(
    {"node_modules", "__pycache__", "site-packages", "dist-packages", "venv", "env", "build"}
)
"""Folders that hold nobody's own sources; so do those whose names begin with a dot."""


def drop(changed: Iterable[Path], root: Path) -> list[str]:
    """Forget the modules that depend on *changed* files, so that the next import reads them."""
    with exclusively():
        changed = list(changed)
        names = dependents(changed, project_modules(sys.modules, root), root)
        for name in names:
            _forget(name)
        for file in changed:
            # bytecode is told apart by whole seconds only: a quick change would not be seen
            with suppress(OSError, ValueError):
                Path(cache_from_source(str(file))).unlink(missing_ok=True)
    return names


def _forget(name: str) -> None:
    module = sys.modules.pop(name, None)
    package, _, own = name.rpartition(".")
    holder = vars(sys.modules[package]) if package in sys.modules else {}
    # `from package import name` asks the package first
    if module is not None and holder.get(own) is module:
        del holder[own]


def project_modules(modules: Mapping[str, ModuleType], root: Path) -> dict[str, Path]:
    """Return the files of a project's own modules, by module name."""
    found = {}
    for name, module in list(modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name.partition(".")[0] not in ("kit", "__main__"):
            path = Path(file)
            if path.is_relative_to(root) and not is_ignored(path.relative_to(root)):
                found[name] = path
    return found


def is_ignored(path: Path) -> bool:
    """Tell whether a *path* below the root lies in a folder that holds nobody's own sources."""
    return any(part in IGNORED or part.startswith(".") for part in path.parts[:-1])


def dependents(changed: Iterable[Path], modules: Mapping[str, Path], root: Path) -> list[str]:
    """Return the names of the modules that are *changed* files, or import one, however far."""
    changed = set(changed)
    names = {name for name, file in modules.items() if file in changed}
    # a new file is no module yet, but may be what somebody has tried to import
    wanted = names | {_dotted(file, root) for file in changed if file.is_relative_to(root)}
    imports = {name: _imports(name, file) for name, file in modules.items()}
    while True:
        more = {name for name, its in imports.items() if name not in names and its & wanted}
        if not more:
            return sorted(names)
        names |= more
        wanted |= more


def _dotted(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str, file: Path) -> frozenset[str]:
    try:
        info = file.stat()
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        upper = frozenset(_with_packages(name)) - {name}
        return upper | _read(file, package, info.st_mtime_ns, info.st_size)
    except (OSError, ValueError, SyntaxError):  # it is gone or wrong: its own import will tell
        return frozenset()


@lru_cache(maxsize=4096)
def _read(file: Path, package: str, mtime: int, size: int) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, package)
            names |= {origin, *(f"{origin}.{each.name}" for each in node.names)}
    # whoever imports a module has its packages run as well
    return frozenset(upper for name in names for upper in _with_packages(name))


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _with_packages(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
