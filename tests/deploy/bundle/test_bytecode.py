import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.deploy.bundle.bytecode import clean, compile_tree, python_for
from kit.deploy.bundle.tree import files_in
from kit.model.errors import BuildError

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = f"cpython-{MINOR.replace('.', '')}"


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "pkg").mkdir(parents=True)
    (tree / "top.py").write_text('"""Doc."""\nassert __doc__, "none"\n')
    (tree / "pkg/inner.py").write_text("def fail():\n    raise ValueError('no')\n")
    (tree / "pkg/template.py").write_text("{% not python %}\n")
    return tree


def run(tree: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-c", code]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


def test_bytecode_lies_where_python_looks_for_it(tree: Path) -> None:
    compile_tree(tree, Path(sys.executable), MINOR, bare=lambda _: False)

    assert sorted(files_in(tree)) == [
        f"__pycache__/top.{TAG}.pyc",
        f"pkg/__pycache__/inner.{TAG}.pyc",
        "pkg/inner.py",
        "pkg/template.py",
        "top.py",
    ]


def test_names_may_hold_anything_a_file_system_takes(tmp_path: Path) -> None:
    odd = ["a\tb.py", "a\nb.py", "ü 'q'.py", os.fsdecode(b"\xff.py")]
    for name in odd:
        (tmp_path / name).write_text("x = 1\n")

    compile_tree(tmp_path, Path(sys.executable), MINOR, bare=lambda _: True)

    assert sorted(files_in(tmp_path)) == sorted(f"{name}c" for name in odd)


def test_it_is_used_whatever_happens_to_its_source(tree: Path) -> None:
    compile_tree(tree, Path(sys.executable), MINOR, bare=lambda _: False)
    (tree / "top.py").write_text("1 / 0\n")
    os.utime(tree / "top.py", (0, 0))

    assert run(tree, "import top").returncode == 0


def test_bare_bytecode_takes_the_place_of_its_source(tree: Path) -> None:
    compile_tree(tree, Path(sys.executable), MINOR, bare=lambda path: path.startswith("pkg/"))

    assert sorted(files_in(tree)) == [
        f"__pycache__/top.{TAG}.pyc",
        "pkg/inner.pyc",
        "pkg/template.py",  # whoever imports it will learn
        "top.py",
    ]
    said = run(tree, "from pkg.inner import fail; fail()").stderr
    assert 'File "pkg/inner.py", line 2, in fail' in said


def test_docstrings_and_asserts_can_be_left_out(tree: Path) -> None:
    compile_tree(
        tree, Path(sys.executable), MINOR, bare=lambda path: path == "top.py", without_docs=True
    )

    assert run(tree, "import top; assert top.__doc__ is None").returncode == 0


def test_the_order_of_files_does_not_matter(tree: Path, tmp_path: Path) -> None:
    compile_tree(tree, Path(sys.executable), MINOR, bare=lambda _: True)
    first = {path: (tree / path).read_bytes() for path in files_in(tree)}

    one = tmp_path / "one"
    (one / "pkg").mkdir(parents=True)
    (one / "pkg/inner.py").write_text("def fail():\n    raise ValueError('no')\n")
    compile_tree(one, Path(sys.executable), MINOR, bare=lambda _: True)

    assert (one / "pkg/inner.pyc").read_bytes() == first["pkg/inner.pyc"]


def test_an_interpreter_that_fails_is_an_error(tree: Path) -> None:
    with pytest.raises(BuildError, match="cannot compile: it ended with status 1"):
        compile_tree(tree, Path("/bin/false"), MINOR, bare=lambda _: False)


def test_one_of_the_same_minor_version_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert python_for(MINOR) == Path(sys.executable)

    (tmp_path / "python3.99").write_text("")
    (tmp_path / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert python_for("3.99") == tmp_path / "python3.99"

    with pytest.raises(BuildError, match=r"no other Python 3\.98 here"):
        python_for("3.98")


def test_the_environment_is_without_what_steers_python() -> None:
    assert clean({"PYTHONPATH": "/x", "HOME": "/h"}) == {"HOME": "/h", "PYTHONHASHSEED": "0"}
