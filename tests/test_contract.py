"""What the import contract cannot say: who touches the environment and the network."""

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import kit

ROOT = Path(kit.__file__).parent


@functools.cache
def modules() -> list[tuple[str, ast.Module]]:
    found = ((path, ast.parse(path.read_text("utf-8"))) for path in sorted(ROOT.rglob("*.py")))
    return [(path.relative_to(ROOT).as_posix(), tree) for path, tree in found]


@functools.cache
def nodes() -> list[tuple[str, list[ast.Attribute | ast.Import | ast.ImportFrom]]]:
    kinds = (ast.Attribute, ast.Import, ast.ImportFrom)
    return [(n, [each for each in ast.walk(t) if isinstance(each, kinds)]) for n, t in modules()]


def touches_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        names = ("environ", "environb", "getenv", "putenv")
        return node.attr in names and isinstance(node.value, ast.Name) and node.value.id == "os"
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "os"
        and any(alias.name in ("environ", "getenv") for alias in node.names)
    )


def test_the_environment_is_read_in_one_place_and_changed_in_one() -> None:
    found = {name for name, within in nodes() if any(map(touches_environment, within))}
    assert found == {"project/environment.py", "deploy/function/environment.py"}


def imports(within: Iterable[ast.AST]) -> Iterator[str]:
    for node in within:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_httpx_is_imported_in_one_place() -> None:
    found = {name for name, within in nodes() if "httpx" in imports(within)}
    assert found == {"netlify/transport.py"}
    found = {name for name, within in nodes() if "httpcore" in imports(within)}
    assert found == {"netlify/pool.py"}


def test_every_room_says_what_it_is_and_imports_nothing() -> None:
    inits = {n: t for n, t in modules() if n.endswith("/__init__.py")}
    assert len(inits) > 10
    for name, tree in inits.items():
        assert ast.get_docstring(tree), name
        if name != "testing/__init__.py":  # public: it names what is in it, lazily
            assert len(tree.body) == 1, name
