import json
import re

import pytest

from kit.deploy.bundle import entries
from kit.deploy.bundle.entries import WORKLOAD, text_of
from kit.deploy.bundle.plan import (
    HttpEntry,
    HttpModule,
    RecordsEntry,
    WorkflowEntry,
    WorkflowFacts,
    plan,
)
from kit.model.errors import BuildError

HTTP = HttpEntry(
    "kit-api-users-_id", HttpModule("users/[id]", "functions/api/users/[id].py", "/api/users/:id")
)


def workflows(**policy: object) -> WorkflowEntry:
    names = ("publish-draft", 'o"dd')
    found = (WorkflowFacts(name, f"{name}.py", **policy) for name in names)  # type: ignore[arg-type]
    return WorkflowEntry("kit-workflows", tuple(found))


def literal(text: str, pattern: str) -> object:
    found = re.search(pattern, text)
    assert found is not None, text
    return json.loads(found[1])


def test_the_extension_finds_a_workload_by_its_text() -> None:
    assert WORKLOAD.search(text_of(workflows(), "functions"))
    assert not WORKLOAD.search(text_of(HTTP, "functions"))


def test_settings_are_literals() -> None:
    text = text_of(workflows(max_retries=2, backoff=(1000, 90_000)), "functions")

    assert literal(text, r"events: (.*),\n") == ["publish-draft", 'o"dd']
    assert literal(text, r"maxRetries: (.*),\n") == 2
    assert literal(text, r"backoff = (.*);") == [1000, 90_000]


def test_the_default_backoff_is_netlifys_written_out() -> None:
    text = text_of(workflows(), "functions")

    assert literal(text, r"backoff = (.*);") == [5000, 5000, 20_000, 40_000]
    assert literal(text_of(workflows(max_retries=0), "functions"), r"backoff = (.*);") == []


@pytest.mark.parametrize(
    ("folder", "bundle"),
    [("functions", "../.kit/bundle"), ("netlify/functions", "../../.kit/bundle")],
)
def test_the_bundle_is_found_from_the_functions_folder(folder: str, bundle: str) -> None:
    text = text_of(workflows(), folder)

    assert f'from "{bundle}/runtime/workflow.mjs"' in text
    assert literal(text, r"includedFiles: (.*) }") == [f"{bundle}/**"]


def test_an_http_entry_has_its_path() -> None:
    text = text_of(HTTP, "functions")

    assert 'path: "/api/users/:id"' in text
    assert 'name: "users/[id]"' in text


def test_an_entry_of_the_wrong_kind_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "_filled", lambda *_: "nothing of that")
    with pytest.raises(BuildError, match="wrong kind"):
        text_of(workflows(), "functions")


def test_an_entry_of_workflows_with_records_says_what_a_record_needs() -> None:
    text = text_of(workflows(store="blobs", backoff=(1, 2), timeout=5_000), "functions")

    settings = {"maxRetries": 4, "backoff": [1, 2], "timeout": 5000}
    expected = [{"name": name, **settings} for name in ("publish-draft", 'o"dd')]
    assert literal(text, r"workflows: (.*) \}\)") == expected
    assert 'from "../.kit/bundle/runtime/recorded.mjs"' in text
    assert WORKLOAD.search(text)


@pytest.mark.parametrize("entry", [RecordsEntry("kit-runs"), RecordsEntry("kit-retention")])
def test_what_sees_to_records_is_no_workload_and_carries_no_python(entry: RecordsEntry) -> None:
    text = text_of(entry, "functions")

    assert not WORKLOAD.search(text)
    assert "includedFiles" not in text
    assert f'from "../.kit/bundle/runtime/{entry.name.removeprefix("kit-")}.mjs"' in text


def test_the_runs_api_knows_which_function_has_a_workflow() -> None:
    text = text_of(RecordsEntry("kit-runs", homes={"greet": "kit-workflows-blobs"}), "functions")

    assert 'runs({ homes: {"greet": "kit-workflows-blobs"} })' in text


def test_ended_runs_are_kept_for_as_long_as_netlify_keeps_dead_letters() -> None:
    text = text_of(RecordsEntry("kit-retention"), "functions")

    assert "retention({ days: 30 })" in text
    assert 'schedule: "@hourly"' in text


@pytest.mark.parametrize(
    ("retention", "days"), [(None, "30"), (7 * 86_400_000, "7.0"), (43_200_000, "0.5")]
)
def test_the_setting_says_how_long_ended_runs_are_kept(retention: int | None, days: str) -> None:
    facts = WorkflowFacts("w", "functions/workflows/w.py", store="blobs")
    planned = {each.name: each for each in plan([facts], [], "shared", retention=retention)}

    text = text_of(planned["kit-retention"], "functions")
    assert f"retention({{ days: {days} }})" in text
