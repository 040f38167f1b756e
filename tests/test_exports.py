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
        "list_workflows",
        "send_event",
        "send_events",
        "read_validated_payload",
    }
    assert functions <= set(kit.__all__)
    assert functions <= set(kit.sync.__all__)
    assert set(dir(kit)) >= functions


def test_importing_kit_loads_neither_pydantic_nor_httpx_nor_asyncio():
    code = (
        "import sys, kit; kit.__version__; "
        "print([m for m in ('pydantic','httpx','asyncio','typer','yaml') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"


def test_defining_a_workflow_loads_neither_pydantic_nor_httpx():
    code = (
        "import sys\nfrom kit import define_workflow, Context, run_workflow\n"
        "print([m for m in ('pydantic','httpx','sqlite3','yaml') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"


def test_a_plain_input_is_accepted_without_pydantic():
    code = (
        "import sys\nfrom kit.model.workflow import Workflow\n"
        "from kit.model.payload import validate_input\n"
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
        "import os, sys\n"
        "os.environ['WORKFLOW_BASE_URL'] = 'http://127.0.0.1:9'\n"
        "import kit, kit.sync\n"
        "try: kit.sync.run_workflow('nobody', {'a': 1})\n"
        "except kit.SendError: pass\n"
        "print(sorted(m for m in sys.modules"
        " if m.startswith(('kit.execution', 'kit.engine', 'kit.store'))))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert shown.strip() == "[]"
