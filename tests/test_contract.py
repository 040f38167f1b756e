"""What the import contract cannot say: who touches the environment and the network."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import kit

ROOT = Path(kit.__file__).parent


@functools.cache
def modules() -> dict[str, str]:
    found = sorted(ROOT.rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in found}


def that_name(*words: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the modules whose text has one of *words*; the others need not be understood."""
    for name, text in modules().items():
        if any(word in text for word in words):
            yield name, ast.parse(text)


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
    found = {
        name
        for name, tree in that_name("environ", "getenv", "putenv")
        if any(map(touches_environment, ast.walk(tree)))
    }
    assert found == {"project/environment.py", "deploy/function/environment.py"}


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_httpx_is_imported_in_one_place() -> None:
    found = {name for name, tree in that_name("httpx") if "httpx" in imports(tree)}
    assert found == {"netlify/transport.py"}
    found = {name for name, tree in that_name("httpcore") if "httpcore" in imports(tree)}
    assert found == {"netlify/pool.py"}


def test_every_room_says_what_it_is_and_imports_nothing() -> None:
    inits = {n: ast.parse(t) for n, t in modules().items() if n.endswith("/__init__.py")}
    assert len(inits) > 10
    for name, tree in inits.items():
        assert ast.get_docstring(tree), name
        if name != "testing/__init__.py":  # public: it names what is in it, lazily
            assert len(tree.body) == 1, name
