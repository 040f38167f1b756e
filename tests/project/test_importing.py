"""Workflow files as modules: whose a workflow is, and what importing leaves behind."""

import importlib
import pickle
import sys
import typing
from pathlib import Path

import pytest

from kit.model.errors import WorkflowImportError
from kit.project.discovery import discover
from tests.support.workflow_files import DEFINE, FOLDER, ONE, find, only_error, put

pytestmark = pytest.mark.usefixtures("left_as_it_was")


def test_an_imported_workflow_is_the_other_files(tmp_path: Path) -> None:
    uses = (
        f"from functions.workflows.first import run as other\n{DEFINE}"
        "@define_workflow\nasync def run(): await other.start()"
    )
    found = find(tmp_path, first=ONE, a_user=uses)
    assert list(found.workflows) == ["a-user", "first"]
    assert found.errors == ()


def test_a_file_that_only_imports_one_defines_none(tmp_path: Path) -> None:
    found = find(tmp_path, first=ONE, again="from .first import run")
    assert "defines no workflow (run is another file's)" in only_error(found).message


@pytest.mark.parametrize("handler", ["sorted", "partial(sorted, [1])", "partial(mine, 1)"])
def test_a_workflow_of_a_function_from_elsewhere_is_the_defining_files(
    tmp_path: Path, handler: str
) -> None:
    source = (
        f"from functools import partial\n{DEFINE}def mine(x): ...\n"
        f"handler = {handler}\nrun = define_workflow(lambda: 1 if handler else 2)\n"
        "run = define_workflow(handler)"
    ).replace("sorted", "print")
    found = find(tmp_path, a="from .b import run", b=source)
    assert list(found.workflows) == ["b"]


def test_a_factory_elsewhere_may_make_a_files_workflow(tmp_path: Path) -> None:
    factory = (
        f"{DEFINE}def make(n):\n    def handler(): return n\n    return define_workflow(handler)"
    )
    uses = "from ._factory import make\nrun = make({})"
    found = find(tmp_path, _factory=factory, a=uses.format(1), b=uses.format(2))
    assert {name: w() for name, w in found.workflows.items()} == {"a": 1, "b": 2}
    assert found.errors == ()
    shared = find(tmp_path, c="from .a import run")
    assert [error.path for error in shared.errors] == ["functions/workflows/c.py"]


def test_a_lazy_object_is_not_woken(tmp_path: Path) -> None:
    lazy = (
        "class Lazy:\n    @property\n    def __class__(self): raise RuntimeError\nlazy = Lazy()\n"
    )
    assert list(find(tmp_path, a=lazy + ONE).workflows) == ["a"]


def test_a_plain_workflow_record_counts_too(tmp_path: Path) -> None:
    source = "from kit.model.workflow import Workflow\ndef run(): ...\nrun = Workflow(run)"
    assert find(tmp_path, a=source).workflows["a"].name == "a"


def test_a_file_is_imported_under_its_path_and_named_in_place(tmp_path: Path) -> None:
    workflow = find(tmp_path, publish_draft=ONE).workflows["publish-draft"]
    module = importlib.import_module("functions.workflows.publish_draft")
    assert module.run is workflow
    assert module.run.name == "publish-draft"


def test_its_classes_can_be_pickled_and_its_hints_resolved(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Draft:\n    next: Draft | None = None\n" + ONE
    )
    for name in ("plain", "not-an-identifier"):
        workflow = find(tmp_path, **{name: source}).workflows[name]
        draft = sys.modules[workflow.handler.__module__].Draft()
        assert pickle.loads(pickle.dumps(draft)) == draft
        assert typing.get_type_hints(type(draft)) == {"next": type(draft) | None}


def test_discovering_again_gives_the_same_workflows(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE, "b-c.py": ONE, "a/d.py": ONE, "x y/__init__.py": ONE})
    first, again = (discover(FOLDER, root=tmp_path).workflows for _ in range(2))
    assert list(first) == ["a", "a/d", "b-c", "x y"]
    assert all(first[name] is again[name] for name in first)


def test_a_changed_file_is_imported_anew(tmp_path: Path) -> None:
    for value in (1, 2, 3, 4):
        text = ONE.replace("return 1", f"return {value}").replace("async ", "")
        assert find(tmp_path, a=text).workflows["a"]() == value
    (error,) = find(tmp_path, a="(").errors
    assert isinstance(error, WorkflowImportError)
    assert find(tmp_path, a=ONE).errors == ()


def test_a_workflow_found_in_another_folder_gets_that_name(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["a"]
    assert list(discover(Path("functions"), root=tmp_path).workflows) == ["workflows/a"]
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["a"]


def test_two_projects_in_one_process_do_not_collide(tmp_path: Path) -> None:
    text = "from ._shared import VALUE\nfrom lib.more import MORE\n" + ONE.replace(
        "async def run(input=None): return 1", "def run(): return VALUE, MORE"
    )
    for turn in range(2):
        for name in ("one", "two"):
            root = tmp_path / name
            put(root, {"_shared.py": f"VALUE = '{name}'", "../../lib/more.py": f"MORE = '{name}'"})
            assert find(root, a=text).workflows["a"]() == (name, name), turn
    assert [entry for entry in sys.path if entry.startswith(str(tmp_path))] == [
        str(tmp_path / "two")
    ]


def test_a_project_within_a_project_is_another_project(tmp_path: Path) -> None:
    run = ONE.replace("async def run(input=None): return 1", "def run(): return VALUE")
    for name in ("inner", ".", "inner"):
        put(tmp_path / name, {"_shared.py": f"VALUE = {name!r}"})
        found = find(tmp_path / name, a=f"from ._shared import VALUE\n{run}")
        assert found.workflows["a"]() == name


def test_a_root_that_was_on_the_path_stays_there(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    put(one, {"a.py": ONE})
    put(two, {"a.py": ONE})
    sys.path.append(str(one))
    for root in (one, two):
        assert list(discover(FOLDER, root=root).workflows) == ["a"]
    assert sys.path.count(str(one)) == 1


def test_a_module_somebody_else_imported_from_the_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    put(other, {"a.py": ONE})
    discover(FOLDER, root=other)
    put(tmp_path, {"a.py": ONE})
    for name in [name for name in sys.modules if name.split(".")[0] == "functions"]:
        monkeypatch.delitem(sys.modules, name)
    sys.meta_path[:] = [finder for finder in sys.meta_path if "kit" not in type(finder).__module__]
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("functions.workflows.a")
    assert discover(FOLDER, root=tmp_path).workflows["a"] is module.run


def test_a_file_next_to_a_plain_folder_of_its_name_keeps_the_name(tmp_path: Path) -> None:
    put(tmp_path, {"emails.py": ONE, "emails/welcome.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["emails", "emails/welcome"]
    assert found.workflows["emails"].handler.__module__ == "functions.workflows.emails"


def test_files_named_like_pythons_own_modules_do_not_replace_them(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text(ONE)
    (tmp_path / "kit.py").write_text(ONE)
    try:
        assert list(discover(tmp_path, root=tmp_path).workflows) == ["json", "kit"]
    finally:
        importlib.invalidate_caches()
    assert sys.modules["json"] is json


def test_relative_imports_work_below_folders_python_cannot_spell(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"my-flows/_shared.py": "X = 1", "my-flows/a.py": f"from ._shared import X\n{ONE}"},
    )
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["my-flows/a"]


def test_a_packages_own_init_runs_first(tmp_path: Path) -> None:
    put(tmp_path, {"__init__.py": "READY = True", "a.py": f"from . import READY\n{ONE}"})
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["a"]


def test_discovering_during_an_import_is_refused(tmp_path: Path) -> None:
    source = (
        "from pathlib import Path\nfrom kit.project.discovery import discover\n"
        f"discover(Path('functions/workflows'), root=Path({str(tmp_path)!r}))\n"
    )
    found = find(tmp_path, a=source + ONE, b=ONE)
    assert "start runs inside functions" in only_error(found).message
    assert list(found.workflows) == ["b"]


def test_a_library_from_elsewhere_outlives_a_change_of_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "library_from_elsewhere.py").write_text("")
    monkeypatch.syspath_prepend(elsewhere)
    for name in ("one", "two"):
        find(tmp_path / name, a=f"import library_from_elsewhere\n{ONE}")
        (tmp_path / "two/library_from_elsewhere").mkdir(parents=True, exist_ok=True)
    assert sys.modules.pop("library_from_elsewhere").__file__ == str(
        elsewhere / "library_from_elsewhere.py"
    )
