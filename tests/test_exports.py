import subprocess
import sys
from pathlib import Path

import pytest

import kit
import kit.sync


def test_every_public_name_loads_from_its_home():
    assert kit.__all__ == sorted(kit.__all__)
    for name in kit.__all__:
        assert getattr(kit, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        kit.no_such_name  # noqa: B018


def test_sync_has_the_same_names_where_they_make_sense():
    functions = {
        "run_workflow",
        "defer_workflow",
        "get_workflow_run",
        "list_runs",
        "list_workflows",
        "send_event",
        "send_events",
        "read_validated_payload",
    }
    assert functions <= set(kit.__all__)
    assert functions <= set(kit.sync.__all__)
    assert set(dir(kit)) >= functions


def loaded(code: str, cwd: Path | None = None) -> set[str]:
    """Return the modules that *code* loads over a bare interpreter."""

    def modules(code: str) -> set[str]:
        code += "\nimport sys; print('\\n', *sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd
        )
        return set(done.stdout.splitlines()[-1].split())

    return modules(code) - modules("")


def test_importing_kit_loads_next_to_nothing():
    assert loaded("import kit; kit.__version__") <= {"__future__", "kit", "kit.version"}


HEAVY = {"asyncio", "dataclasses", "difflib", "httpx", "inspect", "json", "logging", "pydantic"}
HEAVY |= {"sqlite3", "subprocess", "uuid", "yaml", "typer"}


def test_naming_what_defines_and_starts_workflows_loads_nothing_heavy():
    found = loaded("from kit import define_workflow, run_workflow, send_event")
    assert found & HEAVY == set()
    assert len([name for name in found if name.startswith("kit")]) <= 14
    assert len(found) <= 60


def test_defining_a_workflow_loads_neither_asyncio_nor_what_runs_it():
    found = loaded("from kit import define_workflow\n@define_workflow\ndef work(input): ...")
    assert found & (HEAVY - {"inspect"}) == set()
    assert not {name for name in found if name.startswith(("kit.execution", "kit.project"))}


def test_a_handler_that_is_typed_in_full_still_loads_no_library():
    found = loaded("from kit import Context, WorkflowRun, define_workflow, run_workflow")
    assert found & {"httpx", "pydantic", "sqlite3", "yaml"} == set()


def test_a_plain_input_is_accepted_without_pydantic():
    code = (
        "import sys\nfrom kit.model.workflow import Workflow\n"
        "from kit.model.annotations import validate_input\n"
        "def handler(input: dict): ...\n"
        "validate_input(Workflow(handler), {'a': 1})\n"
        "print('pydantic' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "False"


def test_a_program_that_only_sends_never_loads_the_durable_core(tmp_path: Path):
    code = (
        "import os\n"
        "os.environ['WORKFLOW_BASE_URL'] = 'http://127.0.0.1:9'\n"
        "import kit, kit.sync, httpx\n"
        "async def fail(*_): raise httpx.ReadTimeout('')\n"
        "httpx.AsyncHTTPTransport.handle_async_request = fail\n"
        "try: kit.sync.run_workflow('nobody', {'a': 1})\n"
        "except kit.SendError: print('sent')"
    )
    found = loaded(code, tmp_path)
    rooms = {name.split(".")[1] for name in found if name.startswith("kit.")}
    assert {"client", "netlify"} <= rooms
    assert rooms <= {"client", "netlify", "project", "model", "sync", "version"}
    assert found & {"sqlite3", "yaml", "kit.model.run", "kit.model.delivery"} == set()


def test_a_function_that_answers_requests_never_loads_what_executes_workflows():
    found = loaded("import kit.deploy.function.child, kit.deploy.function.serve")
    assert "kit.execution.calling" in found
    assert found & {"kit.execution.execute", "kit.execution.context", "httpx", "pydantic"} == set()
