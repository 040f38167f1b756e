import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.bundle.findings import Finding
from kit.deploy.bundle.options import BuildOptions
from kit.deploy.bundle.plan import WorkflowEntry, WorkflowFacts
from kit.deploy.bundle.report import Report
from kit.deploy.bundle.tree import Size
from kit.model.errors import BuildError

Kit = Callable[..., Any]
ENTRY = WorkflowEntry("kit-workflows", (WorkflowFacts("a", "functions/workflows/a.py"),))
REPORT = Report(
    python="3.13.5",
    entries={"functions/kit-workflows.mjs": ENTRY},
    parts={"numpy 2": Size(5 * 1024**2, 1024**2)},
    findings=(Finding("warning", "BUILD_NO_KEY", "set the key"),),
    times={"a": 150},
)


@pytest.fixture(name="orders")
def _orders(monkeypatch: pytest.MonkeyPatch) -> list[BuildOptions]:
    """Every order that was given; nothing is built."""
    orders: list[BuildOptions] = []

    def build(order: BuildOptions) -> Report:
        orders.append(order)
        order.observe("site", "")
        order.observe("site", "5.0 MiB")
        return REPORT

    monkeypatch.setattr("kit.deploy.bundle.build.build", build)
    return orders


def test_functions_go_to_standard_output_and_progress_to_standard_error(
    kit: Kit, orders: list[BuildOptions]
) -> None:
    said = kit("build")

    assert said.status == 0
    assert said.out.splitlines() == [
        "functions/kit-workflows.mjs: workflow a",
        "1 function with Python 3.13.5, each 5.0 MiB, 1.0 MiB zipped",
    ]
    assert said.err.splitlines() == ["Packages: 5.0 MiB", "warning: set the key"]
    (order,) = orders
    assert (order.check, order.measure, order.use_running) == (False, False, False)


def test_on_a_terminal_progress_is_live(kit: Kit, orders: list[BuildOptions]) -> None:
    said = kit("build", terminal=True)

    assert said.out.splitlines()[0] == "functions/kit-workflows.mjs: workflow a"
    assert "✓ Packages  5.0 MiB" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.err)


def test_options_are_handed_on(kit: Kit, orders: list[BuildOptions]) -> None:
    kit("build", "--report", "--check", "--python", "running")

    (order,) = orders
    assert (order.check, order.measure, order.use_running) == (True, True, True)


def test_a_report_has_sizes_and_import_times(kit: Kit, orders: list[BuildOptions]) -> None:
    lines = kit("build", "--report").out.splitlines()

    assert lines[4].split() == ["numpy", "2", "5.0", "MiB", "1.0", "MiB"]
    assert lines[-1].split() == ["a", "150", "ms"]


def test_json_is_all_there_is_on_standard_output(kit: Kit, orders: list[BuildOptions]) -> None:
    said = kit("build", "--json")

    assert said.json == REPORT.to_json()
    assert "warning" not in said.err


def test_what_cannot_be_deployed_is_exit_status_1(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(order: BuildOptions) -> Report:
        raise BuildError("too large", code="BUILD_TOO_LARGE")

    monkeypatch.setattr("kit.deploy.bundle.build.build", build)

    said = kit("build")
    assert (said.status, said.err) == (1, "error: too large\n")
    said = kit("build", "--json")
    assert (said.status, json.loads(said.out)["error"]["code"]) == (1, "BUILD_TOO_LARGE")


def test_a_version_is_no_option(kit: Kit) -> None:
    said = kit("build", "--python", "3.13")

    assert said.status == 2
    assert "workflow.python" in said.err


@pytest.mark.parametrize("as_json", [False, True])
def test_switched_off_nothing_is_built(kit: Kit, root: Path, as_json: bool) -> None:
    (root / "kit.yaml").write_text("workflow: false\n")

    said = kit("build", *(["--json"] if as_json else []))

    assert said.status == 0
    if as_json:
        assert said.json == {
            "disabled": "kit.yaml workflow: false",
            "functions": [],
            "changed": [],
        }
    else:
        assert said.err == (
            "workflows are switched off (kit.yaml workflow: false): nothing is built\n"
        )


def test_a_project_without_workflows_is_told_so(kit: Kit, root: Path) -> None:
    said = kit("build")

    assert said.status == 0
    assert "there is nothing to build" in said.err
    assert said.out == ""
