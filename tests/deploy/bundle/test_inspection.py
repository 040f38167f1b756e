"""In this machine's own interpreter, which is started as the bundle's is."""

import io
import json
import sys
from pathlib import Path

import pytest

from kit.deploy.bundle import inspection
from kit.deploy.bundle.findings import judge_backoffs
from kit.deploy.bundle.inspection import (
    PythonEnvironment,
    from_json,
    import_times,
    inspect,
    to_json,
)
from kit.deploy.bundle.plan import HttpModule, WorkflowFacts
from kit.deploy.bundle.programs import inspecting
from kit.model.errors import BuildError

REPOSITORY = Path(__file__).parents[3]
FOLDER = "functions/workflows"


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def workflow(root: Path, name: str, policy: str = "", before: str = "") -> None:
    text = (
        f"{before}\nfrom kit import define_workflow\n\n@define_workflow({policy})\ndef w(): ...\n"
    )
    write(root, f"{FOLDER}/{name}.py", text)


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> PythonEnvironment:
    site = next(path for path in sys.path if (Path(path) / "pydantic").is_dir())
    paths = (Path(site), tmp_path, REPOSITORY)
    return PythonEnvironment(Path(sys.executable), paths, tmp_path, FOLDER)


def module(name: str) -> HttpModule:
    return HttpModule(name, f"functions/api/{name}.py", f"/api/{name}")


def test_it_returns_what_a_deployment_has_to_know(environment: PythonEnvironment) -> None:
    workflow(environment.root, "plain", before="print('noise')")
    policy = "max_retries=2, backoff=['1 second', '2 minutes'], background=True"
    workflow(environment.root, "special", policy)
    workflow(environment.root, "computed", "backoff=lambda attempt: attempt * 10, max_retries=2")

    found = {each.name: each for each in inspect(environment, [], {})}

    assert found["plain"] == WorkflowFacts("plain", f"{FOLDER}/plain.py")
    assert found["special"] == WorkflowFacts(
        "special", f"{FOLDER}/special.py", 2, (1000, 120_000), background=True
    )
    assert found["computed"].backoff == (10_000, 20_000)
    assert all(from_json(to_json(each)) == each for each in found.values())


def test_a_backoff_that_says_no_wait_is_told_with_what_it_did(
    environment: PythonEnvironment,
) -> None:
    before = "def odd(attempt): return 30 if attempt < 2 else 1 / 0"
    workflow(environment.root, "a", "backoff=odd, max_retries=3", before=before)

    (found,) = inspect(environment, [], {})

    assert found.backoff == (30_000, 5_000, 20_000)
    assert found.backoff_problems == tuple(
        f"its backoff, odd({attempt}), raised ZeroDivisionError: division by zero"
        for attempt in (2, 3)
    )
    assert from_json(to_json(found)) == found
    (finding,) = judge_backoffs([found, WorkflowFacts("b", "b.py")])
    assert finding.level == "warning"
    assert finding.text == (
        f"{FOLDER}/a.py: its backoff, odd(2), raised ZeroDivisionError: division by zero, and so it"
        " is with 1 more; Netlify's own wait counts there. Return a duration for each coming"
        " attempt from 1 to 3"
    )


def test_what_starts_python_differently_does_not_reach_it(environment: PythonEnvironment) -> None:
    workflow(environment.root, "a", before="import os\nassert os.environ['MINE'] == '1'")

    environ = {"PYTHONSTARTUP": "/x", "PYTHONPATH": "/x", "PYTHONHOME": "/x", "MINE": "1"}

    assert [each.name for each in inspect(environment, [], environ)] == ["a"]


def test_every_file_that_is_wrong_is_named(environment: PythonEnvironment) -> None:
    workflow(environment.root, "good")
    workflow(environment.root, "missing", before="import surely_not_there.deeper")
    workflow(environment.root, "wrong", before="1 / 0")
    write(environment.root, f"{FOLDER}/empty.py", "")

    with pytest.raises(BuildError, match="3 files cannot be used in the bundle's own") as caught:
        inspect(environment, [], {})

    message = caught.value.message
    assert caught.value.code == "BUILD_IMPORT_FAILED"
    assert caught.value.details["paths"] == [
        f"{FOLDER}/{name}.py" for name in ("empty", "missing", "wrong")
    ]
    assert "ZeroDivisionError" in message
    assert "empty.py defines no workflow" in message
    assert "surely_not_there: put the package that has it into [project] dependencies" in message


def test_parts_of_the_kit_that_no_function_has_are_not_taken_for_packages(
    environment: PythonEnvironment,
) -> None:
    workflow(environment.root, "a", before="import kit.testing.nothing_of_that_name")

    with pytest.raises(BuildError, match="nothing_of_that_name is for development") as caught:
        inspect(environment, [], {})

    assert "dependencies" not in caught.value.message


def test_http_modules_are_imported_too(environment: PythonEnvironment) -> None:
    write(environment.root, "functions/api/good.py", "def get(request): ...")
    write(environment.root, "functions/api/asgi.py", "app = 1")
    write(environment.root, "functions/api/[id].py", "def delete(request): ...")
    inspect(environment, [module("good"), module("asgi"), module("[id]")], {})

    write(environment.root, "functions/api/none.py", "x = 1")
    write(environment.root, "functions/api/ends.py", "raise SystemExit(3)")
    write(environment.root, "functions/api/broken.py", "import not_there")
    with pytest.raises(BuildError) as caught:
        inspect(environment, [module("none"), module("ends"), module("broken")], {})

    message = caught.value.message
    assert "none.py answers nothing: define one of get, post" in message
    assert "ends.py cannot be imported: SystemExit: 3" in message
    assert "not_there: put the package" in message


def test_on_another_kind_of_machine_its_own_python_stands_in(tmp_path: Path) -> None:
    workflow(tmp_path, "a")
    environment = PythonEnvironment(Path(sys.executable), (), tmp_path, FOLDER, is_bundle=False)
    assert [each.name for each in inspect(environment, [], {})] == ["a"]

    workflow(tmp_path, "b", before="import not_there")
    with pytest.raises(BuildError, match="Install not_there here, too"):
        inspect(environment, [], {})


def test_an_interpreter_that_dies_is_an_error_with_what_it_said(
    environment: PythonEnvironment,
) -> None:
    workflow(
        environment.root, "a", before="import os, sys\nsys.stderr.write('bye\\n')\nos._exit(9)"
    )

    with pytest.raises(BuildError, match=r"ended with status 9[\s\S]*bye"):
        inspect(environment, [], {})


def test_a_file_that_waits_while_it_is_imported_is_an_error(
    environment: PythonEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "_SECONDS", 0.5)
    workflow(environment.root, "a", before="import time\ntime.sleep(60)")

    with pytest.raises(BuildError, match=r"not imported within .* Move that into the handler"):
        inspect(environment, [], {})


def test_imports_are_timed(environment: PythonEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_STARTS", 1)
    workflow(environment.root, "a", before="print('noise')")
    workflow(environment.root, "slow", before="import time\ntime.sleep(0.3)")

    times = import_times(environment, inspect(environment, [], {}), {})

    assert set(times) == {"a", "slow"}
    assert times["slow"] >= 300


def test_the_program_can_be_read_as_a_module_too(
    environment: PythonEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workflow(environment.root, "inside_own_process", "backoff=['5 seconds']")
    write(environment.root, "functions/api/inside_answers.py", "def get(request): ...")
    write(environment.root, "functions/api/[inside].py", "x = 1")
    write(environment.root, "functions/api/inside_missing.py", "import not_there")
    names = ("inside_answers", "[inside]", "inside_missing")
    wanted = {"modules": {name: f"functions/api/{name}.py" for name in names}}
    wanted |= {"root": str(environment.root), "folder": FOLDER}  # type: ignore[dict-item]
    monkeypatch.setattr(sys, "argv", ["-c", str(environment.root)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(wanted)))
    monkeypatch.setattr(sys, "stdout", sys.stdout)

    inspecting.main()

    found = json.loads(capsys.readouterr().out)
    assert found["workflows"][0]["backoff"] == [5000] * 4
    errors = {error["path"]: error for error in found["errors"]}
    assert set(errors) == {"functions/api/[inside].py", "functions/api/inside_missing.py"}
    assert errors["functions/api/inside_missing.py"]["missing"] == "not_there"
