"""
Which modules of the kit a function can come to import: read from the sources, nothing is run.

Followed is every import statement, within functions too, and the table from which `kit` loads its
public names. Not followed are imports for type checkers. What a function must do without, such as
the engine, is kept out of reach by the import contract in pyproject.toml, not here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = "kit"

FIRST = ("kit", "kit.sync", "kit.deploy.function.*")
"""What is imported to begin with: by users' files, and by a function's own process."""


def modules_of(source: Path) -> dict[str, str]:
    """Return the file of every module below *source*, the kit's folder, by its dotted name."""
    found = {}
    for file in sorted(source.rglob("*.py")):
        path = file.relative_to(source)
        parts = [ROOT, *path.parent.parts]
        if path.name != "__init__.py":
            parts.append(path.stem)
        found[".".join(parts)] = path.as_posix()
    return found


def reached(source: Path, first: Iterable[str] = FIRST, programs: Iterable[Path] = ()) -> list[str]:
    """
    Return the files below *source* that *first* can come to import, and so can *programs*.

    A name in *first* that ends in `.*` stands for all modules of a package.
    """
    modules = modules_of(source)
    pending = [name for each in first for name in _expanded(each, modules)]
    for program in programs:
        pending += _imports(program, ROOT, modules.__contains__)
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [
                *_packages(name),
                *_imports(source / modules[name], name, modules.__contains__),
            ]
    return sorted(modules[name] for name in found)


def _expanded(name: str, modules: Iterable[str]) -> Iterator[str]:
    package = name.removesuffix(".*")
    yield package
    if package != name:
        yield from (each for each in modules if each.startswith(f"{package}."))


def _packages(name: str) -> Iterator[str]:
    """Yield the packages a module is in: importing it runs them first."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(file: Path, name: str, is_module: Callable[[str], bool]) -> Iterator[str]:
    """Yield the modules that *file*, the module *name*, can come to import."""
    for node in _statements(ast.parse(file.read_bytes()).body):
        if isinstance(node, ast.Import):
            yield from filter(is_module, (alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            yield from filter(is_module, names)
        elif name == ROOT:
            # `kit` loads its public names by a table of modules
            for text in _texts(node):
                yield from filter(is_module, text.split())


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where statements have others; nothing else in them can hold an import."""


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield *nodes* and the statements in them, without what only type checkers read."""
    for node in nodes:
        yield node
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for block in _BLOCKS[1:] if is_typing else _BLOCKS:
            yield from _statements(getattr(node, block, ()))


def _texts(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
