"""What has to be imported again, and what stays in use where that fails."""

import sys
from pathlib import Path
from typing import Any

import pytest

from kit.dev.project import DevProject, Reloaded
from kit.dev.reloading import dependents, project_modules
from kit.model.errors import WorkflowImportError
from kit.project.config import load

from .conftest import Write

USING = """
from kit import define_workflow
from lib.words import greeting

@define_workflow
def using(input):
    return greeting()
"""
ALONE = "from kit import define_workflow\n\n@define_workflow\ndef alone(input):\n    return 1\n"


@pytest.fixture
async def project(root: Path, write: Write, told: list[str]) -> DevProject:
    write("functions/workflows/using.py", USING)
    write("functions/workflows/alone.py", ALONE)
    write("lib/words.py", "from . import deep\n\ndef greeting():\n    return deep.TEXT\n")
    write("lib/deep.py", "TEXT = 'one'\n")
    write("lib/__init__.py", "")
    project = DevProject(load(root), told.append)
    await project.load()
    return project


def call(project: DevProject, name: str) -> Any:
    return project.workflows.get(name)(None)


async def test_a_changed_module_is_imported_again_with_all_that_import_it(
    project: DevProject, write: Write
) -> None:
    before = project.workflows.get("alone")
    assert call(project, "using") == "one"
    for text in ("two", "six"):  # as long, and within the same second
        reloaded = await project.saved({write("lib/deep.py", f"TEXT = '{text}'\n")})
        assert reloaded == Reloaded(modules=True)
        assert call(project, "using") == text
    assert project.workflows.get("alone") is before


async def test_a_changed_workflow_is_imported_again_and_no_other(
    project: DevProject, write: Write
) -> None:
    using = project.workflows.get("using")
    file = write("functions/workflows/alone.py", ALONE.replace("return 1", "return 2"))
    await project.saved({file})
    assert call(project, "alone") == 2
    assert project.workflows.get("using") is using


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("functions/workflows/alone.py", "def (", "SyntaxError"),
        ("functions/workflows/alone.py", "import nothing_of_this_name", "ModuleNotFoundError"),
        ("functions/workflows/alone.py", "x = 1", "defines no workflow"),
    ],
)
async def test_a_file_that_breaks_is_shown_and_its_last_good_version_stays(
    project: DevProject, write: Write, told: list[str], path: str, text: str, why: str
) -> None:
    file = write(path, text)
    await project.saved({file})
    assert call(project, "alone") == 1
    [info] = [info for info in project.workflows.infos() if info.name == "alone"]
    assert info.is_stale
    assert why in f"{info.error}{info.traceback}"
    assert len([line for line in told if why in line]) == 1

    await project.saved({file})
    assert len([line for line in told if why in line]) == 1  # not told of twice
    await project.saved({write(path, ALONE.replace("1", "3"))})
    assert call(project, "alone") == 3
    assert [info.error for info in project.workflows.infos()] == [None, None]


async def test_a_helper_that_breaks_leaves_its_users_as_they_were(
    project: DevProject, write: Write
) -> None:
    await project.saved({write("lib/deep.py", "TEXT = ")})
    assert call(project, "using") == "one"
    [info] = [info for info in project.workflows.infos() if info.name == "using"]
    assert info.is_stale
    assert "lib/deep.py" in info.traceback
    await project.saved({write("lib/deep.py", "TEXT = 'good'")})
    assert call(project, "using") == "good"


async def test_a_file_that_was_never_good_is_an_error_of_its_own(
    project: DevProject, write: Write
) -> None:
    await project.saved({write("functions/workflows/new.py", "1 / 0")})
    with pytest.raises(WorkflowImportError, match="ZeroDivisionError"):
        project.workflows.get("NEW")
    [info] = [info for info in project.workflows.infos() if info.error]
    assert (info.name, info.file, info.is_stale) == ("new", "functions/workflows/new.py", False)


async def test_what_was_missing_is_found_when_it_comes(project: DevProject, write: Write) -> None:
    text = ALONE.replace("return 1", "return later.X").replace("from", "import later\nfrom", 1)
    await project.saved({write("functions/workflows/alone.py", text)})
    assert call(project, "alone") == 1
    await project.saved({write("later.py", "X = 5")})
    assert call(project, "alone") == 5


async def test_a_deleted_file_takes_its_workflow_with_it(project: DevProject) -> None:
    file = project.root / "functions/workflows/alone.py"
    file.unlink()
    await project.saved({file})
    assert project.workflows.find("alone") is None
    assert [info.name for info in project.workflows.infos()] == ["using"]


async def test_two_files_of_one_name_are_both_shown_and_the_first_stays(
    project: DevProject, write: Write
) -> None:
    text = ALONE.replace("@define_workflow", '@define_workflow(name="Alone")')
    await project.saved({write("functions/workflows/other.py", text)})
    assert call(project, "alone") == 1
    wrong = [info.file for info in project.workflows.infos() if info.error]
    assert wrong == ["functions/workflows/alone.py", "functions/workflows/other.py"]


async def test_settings_are_taken_up_and_wrong_ones_are_not(
    project: DevProject, write: Write, told: list[str]
) -> None:
    write("flows/alone.py", ALONE.replace("return 1", "return 7"))
    settings = write("kit.yaml", "workflow:\n  folder: flows\n")
    assert await project.saved({settings}) == Reloaded(settings=True, modules=True)
    assert call(project, "alone") == 7
    assert project.workflows.find("using") is None

    settings.write_text("workflow:\n  foldr: x\n")
    assert await project.saved({settings}) == Reloaded()
    assert "foldr" in told[-1]
    assert call(project, "alone") == 7


async def test_what_is_saved_elsewhere_reloads_nothing(project: DevProject, write: Write) -> None:
    assert await project.saved({write("notes.txt", "")}) == Reloaded()


def test_imports_are_followed_however_they_are_written(root: Path, write: Write) -> None:
    sources = {
        "pkg/__init__.py": "",
        "pkg/a.py": "",
        "pkg/plain.py": "import pkg.a",
        "pkg/relative.py": "from . import a",
        "pkg/inner/__init__.py": "",
        "pkg/inner/up.py": "from ..a import x",
        "late.py": "def f():\n    from pkg import a",
        "far.py": "import late as l",
        "other.py": "import json",
        "broken.py": "def (",
    }
    modules = {}
    for path, text in sources.items():
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        modules[name] = write(path, text)
    found = dependents([root / "pkg/a.py"], modules, root)
    assert found == ["far", "late", "pkg.a", "pkg.inner.up", "pkg.plain", "pkg.relative"]
    assert set(modules) - {"other", "broken"} == set(
        dependents([root / "pkg/__init__.py"], modules, root)
    )


def test_only_the_projects_own_modules_are_ever_dropped(root: Path) -> None:
    found = project_modules(sys.modules, Path(__file__).parents[2])
    assert not any(name.split(".")[0] in ("kit", "pytest", "httpx") for name in found)
