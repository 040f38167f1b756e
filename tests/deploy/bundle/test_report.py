import json

from kit.deploy.bundle.findings import Finding
from kit.deploy.bundle.manifest import manifest_text
from kit.deploy.bundle.plan import (
    HttpEntry,
    HttpModule,
    RecordsEntry,
    WorkflowEntry,
    WorkflowFacts,
)
from kit.deploy.bundle.report import Report
from kit.deploy.bundle.tree import Size

MODULE = HttpModule("users/[id]", "functions/api/users/[id].py", "/api/users/:id")
FLOW = WorkflowFacts("publish-draft", "functions/workflows/publish_draft.py")
REPORT = Report(
    python="3.13.5",
    entries={
        "functions/kit-api-users-_id.mjs": HttpEntry("kit-api-users-_id", MODULE),
        "functions/kit-workflows.mjs": WorkflowEntry("kit-workflows", (FLOW,)),
    },
    parts={f"package {n}": Size(n * 1024**2, n * 1024**2 // 10) for n in range(1, 19)},
    changed=("kit-workflows.mjs",),
    findings=(
        Finding("warning", "BUILD_NO_NODE", "no node"),
        Finding("note", "BUILD_NO_KEY", "no key"),
    ),
    times={"publish-draft": 120, "slow": 900},
    seconds=1.23456,
)


def test_it_says_which_function_serves_what() -> None:
    assert list(REPORT.summary()) == [
        "functions/kit-api-users-_id.mjs: functions/api/users/[id].py at /api/users/:id",
        "functions/kit-workflows.mjs: workflow publish-draft",
        "2 functions with Python 3.13.5, each 171.0 MiB, 17.1 MiB zipped",
    ]
    assert list(Report().summary()) == []


def test_functions_of_javascript_alone_are_not_counted_among_those_with_python() -> None:
    report = Report(python="3.13.5", entries={"functions/kit-runs.mjs": RecordsEntry("kit-runs")})

    assert list(report.summary()) == ["functions/kit-runs.mjs: the runs API"]
    (told,) = report.to_json()["functions"]
    assert told == {"file": "functions/kit-runs.mjs", "about": "the runs API"}


def test_details_name_the_largest_parts_and_the_slowest_imports() -> None:
    lines = list(REPORT.details())

    assert lines[1].split() == ["package", "18", "18.0", "MiB", "1.8", "MiB"]
    assert [line.split() for line in lines[16:19]] == [
        ["3", "more", "6.0", "MiB", "0.6", "MiB"],
        ["all", "171.0", "MiB", "17.1", "MiB"],
        ["allowed", "250.0", "MiB", "50.0", "MiB"],
    ]
    assert [line.split()[0] for line in lines[-2:]] == ["slow", "publish-draft"]
    assert "WORKFLOW" not in "\n".join(Report().details())


def test_as_json_it_has_everything() -> None:
    data = json.loads(json.dumps(REPORT.to_json()))

    assert data["functions"] == [
        {
            "file": "functions/kit-api-users-_id.mjs",
            "path": "/api/users/:id",
            "source": "functions/api/users/[id].py",
        },
        {
            "file": "functions/kit-workflows.mjs",
            "workflows": ["publish-draft"],
            "maxRetries": 4,
            "background": False,
        },
    ]
    assert (data["unzipped"], data["zipped"]) == (171 * 1024**2, data["zipped"])
    assert data["parts"]["package 1"] == {"unzipped": 1024**2, "zipped": 1024**2 // 10}
    assert data["warnings"] == [{"code": "BUILD_NO_NODE", "message": "no node"}]
    assert data["notes"] == [{"code": "BUILD_NO_KEY", "message": "no key"}]
    assert data["importMs"] == {"publish-draft": 120, "slow": 900}
    assert data["seconds"] == 1.235


def test_a_manifest_says_where_everything_is() -> None:
    text = manifest_text([FLOW], [MODULE], folder="functions/workflows", paths=["src"])

    assert json.loads(text) == {
        "python": "python/bin/python3",
        "root": "app",
        "paths": ["site", "app/src"],
        "folder": "functions/workflows",
        "workflows": {"publish-draft": "functions/workflows/publish_draft.py"},
        "functions": {"users/[id]": "functions/api/users/[id].py"},
    }
