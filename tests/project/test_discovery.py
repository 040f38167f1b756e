import importlib
import os
import pickle
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.model.errors import (
    DiscoveryError,
    DuplicateWorkflowError,
    WorkflowImportError,
    WorkflowNotFoundError,
)
from kit.project.catalog import Catalog
from kit.project.discovery import Discovery, discover, load_workflow, name_of

FOLDER = Path("functions/workflows")
DEFINE = "from kit.client.definition import define_workflow\n"
ONE = f"{DEFINE}\n@define_workflow\nasync def run(input=None): return 1\n"

Write = Callable[..., Path]


def put(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = root / FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))


def find(root: Path, **files: str) -> Discovery:
    put(root, {f"{name}.py": text for name, text in files.items()})
    return discover(FOLDER, root=root)


def only_error(found: Discovery) -> DiscoveryError:
    (error,) = found.errors
    return error


@pytest.fixture(autouse=True)
def the_process_is_left_as_it_was() -> Iterator[None]:
    path, meta = list(sys.path), list(sys.meta_path)
    yield
    sys.path[:], sys.meta_path[:] = path, meta


# names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("publish_draft.py", "publish-draft"),
        ("emails/send_welcome.py", "emails/send-welcome"),
        ("my_emails/__init__.py", "my-emails"),
        ("a/b/c.py", "a/b/c"),
        ("v1.2.py", "v1.2"),
        ("already-kebab.py", "already-kebab"),
        ("Publish.py", "Publish"),
        ("two__words_.py", "two--words-"),
    ],
)
def test_a_name_is_the_path_below_the_folder(path: str, name: str) -> None:
    assert name_of(PurePosixPath(path)) == name


def test_the_folders_own_init_has_no_name() -> None:
    with pytest.raises(ValueError, match="no name"):
        name_of(PurePosixPath("__init__.py"))


PART = st.text(alphabet="aAbß_-. é1", min_size=1, max_size=6).filter(
    lambda text: not text.startswith((".", "_")) and text.strip() == text
)
PATHS = st.sets(
    st.tuples(st.lists(PART, max_size=2), PART | st.just("__init__")).map(
        lambda it: "/".join([*it[0], it[1]]) + ".py"
    ),
    max_size=5,
)


@given(PATHS)
@settings(max_examples=60, deadline=None)
def test_no_two_files_come_to_one_name_silently(paths: set[str]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        written = set()
        for path in paths:
            try:
                put(root, {path: ONE})
            except OSError:
                continue  # a file where another path needs a folder
            written.add(str(FOLDER / path))
        written.discard(str(FOLDER / "__init__.py"))
        found = discover(FOLDER, root=root)
        by_name = {name.lower() for name in found.workflows}
        assert len(by_name) == len(found.workflows)
        named = set(found.paths.values())
        refused = {p for error in found.errors for p in error.details.get("paths", [error.path])}
        assert named | refused == written
        assert not named & refused
        assert len(named) == len(found.paths)


# finding


def test_workflows_are_found_in_folders_and_sorted(tmp_path: Path) -> None:
    put(tmp_path, {"b.py": ONE, "a/z_z.py": ONE, "a/__init__.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["a", "a/z-z", "b"]
    assert dict(found.paths) == {
        "a": "functions/workflows/a/__init__.py",
        "a/z-z": "functions/workflows/a/z_z.py",
        "b": "functions/workflows/b.py",
    }
    assert [w.name for w in found.workflows.values()] == ["a", "a/z-z", "b"]
    assert found.errors == ()


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert discover(FOLDER, root=tmp_path) == Discovery()


def test_what_begins_with_an_underscore_or_a_dot_is_no_workflow(tmp_path: Path) -> None:
    bad = "raise SystemExit"
    paths = ["_a.py", ".b.py", "_c/d.py", ".e/f.py", "__pycache__/g.py", "node_modules/h.py"]
    put(tmp_path, dict.fromkeys([*paths, "__init__/i.py", "__main__.py", "j.txt", "k.pyc"], bad))
    put(tmp_path, {"__init__.py": "", "real.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert (list(found.workflows), found.errors) == (["real"], ())


def test_folders_that_are_links_are_not_entered(tmp_path: Path) -> None:
    put(tmp_path, {"real/a.py": ONE})
    (tmp_path / FOLDER / "again").symlink_to("real")
    (tmp_path / FOLDER / "loop").symlink_to(".")
    (tmp_path / FOLDER / "folder.py").symlink_to("real")
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["real/a"]


def test_a_folder_called_like_a_file_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path, {"a.py/b.py": ONE})
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["a.py/b"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    os.mkfifo(tmp_path / FOLDER / "b.py")
    (tmp_path / FOLDER / "c.py").symlink_to("b.py")
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["a"]
    assert "functions/workflows/c.py is no file" in only_error(found).message


def test_a_link_within_the_project_is_a_file_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    (tmp_path / FOLDER / "b.py").symlink_to("a.py")
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["a", "b"]
    assert found.workflows["a"] is not found.workflows["b"]


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(ONE)
    put(tmp_path / "project", {"ok.py": ONE})
    (tmp_path / "project" / FOLDER / "escape.py").symlink_to(outside)
    found = discover(FOLDER, root=tmp_path / "project")
    assert list(found.workflows) == ["ok"]
    assert "escape.py is a link that leads out of the project" in only_error(found).message


def test_a_folder_outside_the_project_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"ok.py": ONE})
    (tmp_path / "project").mkdir()
    found = discover(tmp_path / FOLDER, root=tmp_path / "project")
    error = only_error(found)
    assert error.path == "../functions/workflows"
    assert "leads out of the project" in error.message


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    (tmp_path / FOLDER / "gone.py").symlink_to("nothing.py")
    assert "gone.py is no file" in only_error(discover(FOLDER, root=tmp_path)).message


def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / FOLDER).write_text("")
    error = only_error(discover(FOLDER, root=tmp_path))
    assert error.path == "functions/workflows"
    assert "cannot be looked into: Not a directory" in error.message


# what is wrong with a file


def test_a_syntax_error_shows_the_file_and_spares_the_others(tmp_path: Path) -> None:
    found = find(tmp_path, broken="x = 1\ndef run(:\n", fine=ONE)
    error = only_error(found)
    assert isinstance(error, WorkflowImportError)
    assert error.path == "functions/workflows/broken.py"
    assert error.message == (
        "functions/workflows/broken.py cannot be imported: SyntaxError: invalid syntax (line 2)"
    )
    assert "def run(:" in error.traceback_text
    assert "importlib" not in error.traceback_text
    assert isinstance(error.__cause__, SyntaxError)
    assert list(found.workflows) == ["fine"]


def test_a_failing_import_shows_the_users_frames_only(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/deep.py").write_text("def go():\n    raise KeyError('deep')\n")
    source = "from lib.deep import go\ntry:\n    go()\nexcept KeyError as e:\n    1 / 0\n"
    error = only_error(find(tmp_path, broken=source))
    assert isinstance(error, WorkflowImportError)
    assert error.message.endswith(
        "broken.py cannot be imported: ZeroDivisionError: division by zero"
    )
    files = re.findall(r'File "(.*?)"', error.traceback_text)
    mine = str(tmp_path / FOLDER / "broken.py")
    assert files == [mine, str(tmp_path / "lib/deep.py"), mine]


def test_a_wrong_definition_is_shown_at_the_users_line(tmp_path: Path) -> None:
    error = only_error(find(tmp_path, broken=f"{DEFINE}run = define_workflow(lambda: 1, timout=3)"))
    assert isinstance(error, WorkflowImportError)
    assert "no option 'timout'; did you mean 'timeout'" in error.message
    assert re.findall(r'File "(.*?)"', error.traceback_text) == [
        str(tmp_path / FOLDER / "broken.py")
    ]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise ExceptionGroup('all', [ValueError('x')])", "ExceptionGroup: all (1 sub-exception)"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
        ("raise ValueError('\\udcff')", "ValueError: \\udcff"),
        ("raise ValueError", "ValueError"),
        ("class E(Exception):\n  def __str__(self): 1/0\nraise E", "exception str() failed"),
        ("def f(): f()\nf()", "RecursionError"),
        ("x = '\0'", "null bytes"),
    ],
)
def test_whatever_an_import_raises_is_told_in_one_line(
    tmp_path: Path, source: str, says: str
) -> None:
    found = find(tmp_path, broken=source, fine=ONE)
    error = only_error(found)
    assert isinstance(error, WorkflowImportError)
    assert says in error.message
    assert "\n" not in error.message
    error.message.encode()
    assert list(found.workflows) == ["fine"]


def test_ctrl_c_during_an_import_is_obeyed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path, broken="raise KeyboardInterrupt")
    assert list(find(tmp_path, broken=ONE).workflows) == ["broken"]


def test_a_file_that_is_not_utf_8_is_an_import_error(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ""})
    (tmp_path / FOLDER / "a.py").write_bytes(b"x = '\xff'")
    assert isinstance(only_error(discover(FOLDER, root=tmp_path)), WorkflowImportError)


def test_nothing_half_imported_stays(tmp_path: Path) -> None:
    find(tmp_path, half="x = 1\nraise ValueError")
    assert "functions.workflows.half" not in sys.modules


def test_a_file_without_a_workflow_says_what_to_do(tmp_path: Path) -> None:
    error = only_error(find(tmp_path, empty="x = 1"))
    assert type(error) is DiscoveryError
    assert error.message == (
        "functions/workflows/empty.py defines no workflow: decorate its function with"
        " @define_workflow, or begin the file's name with _ if it is none"
    )


def test_a_file_with_two_workflows_names_both(tmp_path: Path) -> None:
    source = f"{DEFINE}@define_workflow\ndef b(): ...\n@define_workflow\ndef a(): ...\n"
    assert only_error(find(tmp_path, double=source)).message == (
        "functions/workflows/double.py defines 2 workflows, a and b; a file has one: give each"
        " its own file"
    )


def test_two_names_for_one_workflow_are_one_workflow(tmp_path: Path) -> None:
    found = find(tmp_path, a=f"{ONE}\ndefault = run\n")
    assert list(found.workflows) == ["a"]


def test_two_files_of_one_name_are_both_named(tmp_path: Path) -> None:
    found = find(tmp_path, **{"a_b": ONE, "A-b": ONE, "other": ONE})
    error = only_error(found)
    assert isinstance(error, DuplicateWorkflowError)
    assert error.details["paths"] == ["functions/workflows/A-b.py", "functions/workflows/a_b.py"]
    assert error.message == (
        "functions/workflows/A-b.py and functions/workflows/a_b.py define workflows of one name,"
        " 'A-b' and 'a-b' (names are compared without regard to case, and _ counts as -);"
        " rename a file, or use define_workflow(name=…)"
    )
    assert list(found.workflows) == ["other"]


def test_a_package_and_a_file_of_one_name_are_both_named(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE, "a/__init__.py": ONE, "a/b.py": ONE})
    for _ in range(2):
        found = discover(FOLDER, root=tmp_path)
        assert isinstance(only_error(found), DuplicateWorkflowError)
        assert list(found.workflows) == ["a/b"]


def test_a_given_name_overrides_the_files(tmp_path: Path) -> None:
    named = f"{DEFINE}run = define_workflow(lambda: 1, name='Mine')"
    assert list(find(tmp_path, a=named, b=ONE).workflows) == ["Mine", "b"]
    error = only_error(find(tmp_path, mine=ONE))
    assert isinstance(error, DuplicateWorkflowError)


def test_a_name_netlify_cannot_store_is_an_error_unless_another_is_given(tmp_path: Path) -> None:
    error = only_error(find(tmp_path, 名前=ONE))
    assert "名前.py gives no usable name" in error.message
    assert "Latin-1" in error.message
    named = f"{DEFINE}run = define_workflow(lambda: 1, name='n')"
    assert list(find(tmp_path, 名前=named).workflows) == ["n"]


def test_a_file_name_that_is_no_text_can_still_be_printed(tmp_path: Path) -> None:
    put(tmp_path, {"ok.py": ONE})
    try:
        Path(os.fsdecode(bytes(tmp_path / FOLDER) + b"/\xff.py")).write_text(ONE)
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    error = only_error(discover(FOLDER, root=tmp_path))
    error.path.encode()
    error.message.encode()


def test_a_name_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"/".join(["x" * 200] * 2) + ".py": ONE})
    assert "too long" in only_error(discover(FOLDER, root=tmp_path)).message


def test_several_errors_come_in_the_order_of_paths(tmp_path: Path) -> None:
    found = find(tmp_path, c="", a="1/0", b="(")
    assert [Path(error.path).stem for error in found.errors] == ["a", "b", "c"]


# whose workflow it is


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


# imports


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


def test_a_broken_package_breaks_its_files_and_names_itself(tmp_path: Path) -> None:
    put(tmp_path, {"p/__init__.py": "1/0", "p/a.py": ONE, "b.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["b"]
    assert all("p/__init__.py" in e.traceback_text for e in found.errors)  # type: ignore[attr-defined]
    assert len(found.errors) == 2


def test_discovering_during_an_import_is_refused(tmp_path: Path) -> None:
    source = (
        "from pathlib import Path\nfrom kit.project.discovery import discover\n"
        f"discover(Path('functions/workflows'), root=Path({str(tmp_path)!r}))\n"
    )
    found = find(tmp_path, a=source + ONE, b=ONE)
    assert "start runs inside functions" in only_error(found).message
    assert list(found.workflows) == ["b"]


# one file, one name


def test_one_file_can_be_loaded_alone(tmp_path: Path) -> None:
    put(tmp_path, {"a_b.py": ONE, "broken.py": "("})
    file = tmp_path / FOLDER / "a_b.py"
    workflow = load_workflow(file, folder=FOLDER, root=tmp_path)
    assert workflow.name == "a-b"
    assert discover(FOLDER, root=tmp_path).workflows["a-b"] is workflow


def test_getting_a_workflow_finds_it_in_any_case(tmp_path: Path) -> None:
    found = find(tmp_path, a_b=ONE)
    assert Catalog(lambda: found).get("A-B") is found.workflows["a-b"]


def test_getting_a_workflow_whose_file_is_broken_raises_the_files_error(tmp_path: Path) -> None:
    found = find(tmp_path, **{"Broken": "(", "two_a": ONE, "two-a": ONE})
    with pytest.raises(WorkflowImportError, match=r"Broken\.py cannot be imported"):
        Catalog(lambda: found).get("broken")
    with pytest.raises(DuplicateWorkflowError):
        Catalog(lambda: found).get("two-a")


def test_getting_an_unknown_workflow_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(WorkflowNotFoundError, match="did you mean 'sweep'"):
        Catalog(lambda: find(tmp_path, sweep=ONE)).get("sweeps")


def test_a_name_taken_by_a_whole_file_is_not_spoiled_by_a_broken_one(tmp_path: Path) -> None:
    named = f"{DEFINE}run = define_workflow(lambda: 1, name='broken')"
    found = find(tmp_path, broken="(", a=named)
    assert Catalog(lambda: found).get("broken") is found.workflows["broken"]


def test_discovery_imports_light_modules_only() -> None:
    import subprocess

    script = (
        "import sys, kit.project.discovery\n"
        "heavy = {'pydantic', 'httpx', 'yaml', 'asyncio', 'json', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


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
