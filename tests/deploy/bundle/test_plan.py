import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.deploy.bundle.plan import (
    HttpEntry,
    HttpModule,
    RecordsEntry,
    WorkflowEntry,
    WorkflowFacts,
    http_module,
    http_name,
    own_name,
    plan,
    shared_name,
)
from kit.model.errors import BuildError

API = PurePosixPath("functions/api")


def facts(name: str, **policy: object) -> WorkflowFacts:
    path = f"functions/workflows/{name.replace('-', '_')}.py"
    return WorkflowFacts(name, path, **policy)  # type: ignore[arg-type]


def module(name: str) -> HttpModule:
    return http_module(API / f"{name}.py", API)


def test_ten_workflows_of_equal_settings_are_one_function() -> None:
    many = [facts(f"w{number}") for number in range(10)]

    (entry,) = plan(many, [], "shared")

    assert isinstance(entry, WorkflowEntry)
    assert entry.file == "kit-workflows.mjs"
    assert entry.workflows == tuple(many)


def test_other_settings_are_another_function() -> None:
    found = [
        facts("a"),
        facts("b", max_retries=1),
        facts("c", backoff=(1000, 2000, 3000, 4000)),
        facts("d", background=True),
        facts("e", background=True),
        facts("f", max_retries=1),
    ]

    entries = plan(found, [], "shared")

    served = {tuple(w.name for w in e.workflows) for e in entries if isinstance(e, WorkflowEntry)}
    assert served == {("a",), ("b", "f"), ("c",), ("d", "e")}
    assert len({entry.name for entry in entries}) == 4


def test_a_background_function_is_named_so_that_netlify_and_its_library_know() -> None:
    assert shared_name(facts("a", background=True)) == "kit-workflows-background"
    assert own_name(facts("a", background=True)) == "kit-workflow-a-background"
    assert not own_name(facts("in-the-background")).endswith("-background")
    assert not http_name(module("in-background")).endswith("-background")


def test_a_functions_name_depends_on_its_own_settings_only() -> None:
    alone = plan([facts("a", max_retries=2)], [], "shared")
    among = plan([facts("a", max_retries=2), facts("b"), facts("c", max_retries=9)], [], "shared")

    assert alone[0].name in {entry.name for entry in among}


def test_per_workflow_each_has_its_own() -> None:
    (entry,) = plan([facts("publish-draft")], [], "per-workflow")

    assert entry.name == "kit-workflow-publish-draft"


def test_names_that_look_alike_become_functions_that_do_not() -> None:
    first = own_name(facts("email/welcome"))
    alike = [
        *("email/welcome", "email-welcome", "email--welcome", "email_welcome", "email.welcome"),
        *("email-welcome-now", "email-welcome-background", "-email-welcome", "Ünser!", "Önser!"),
        *(first.removeprefix("kit-workflow-"), "日本", "日本/", "!", "?", "12345678"),
        *("a" * 381, "a" * 380, "a" * 100 + "/b", "a/" * 190),
    ]

    entries = plan(map(facts, alike), [module("email/welcome"), module("email-welcome")], "shared")
    names = [own_name(facts(name)).lower() for name in alike]

    assert first.startswith("kit-workflow-email-welcome-")
    assert len(set(names)) == len(alike)
    assert len(entries) == 3
    assert len(plan([facts(name) for name in alike], [], "per-workflow")) == len(alike)


@given(st.text(min_size=1, max_size=381), st.booleans())
def test_netlify_takes_every_function_name(name: str, background: bool) -> None:
    function = own_name(facts(name, background=background))

    assert re.fullmatch(r"[a-z0-9_-]{1,60}", function)
    assert function.endswith("-background") is background


@given(st.lists(st.text("aB-_/.8f", min_size=1, max_size=12), unique_by=str.lower, max_size=30))
def test_no_two_workflows_share_a_function(names: list[str]) -> None:
    assert len({own_name(facts(name)) for name in names}) == len(names)


def test_function_names_are_compared_without_regard_to_case() -> None:
    with pytest.raises(BuildError, match="both"):
        plan([], [module("Publish"), module("publish")], "shared")


@pytest.mark.parametrize(
    ("name", "route", "function"),
    [
        ("publish", "/api/publish", "kit-api-publish"),
        ("users/[id]", "/api/users/:id", "kit-api-users-id-f6bf3210"),
        (
            "users/[user_id]/posts",
            "/api/users/:user_id/posts",
            "kit-api-users-user-id-posts-870f3945",
        ),
        ("a_b-c", "/api/a_b-c", "kit-api-a_b-c"),
        ("a_b-c.d", "/api/a_b-c.d", "kit-api-a-b-c-d-2f6864d5"),
    ],
)
def test_a_files_path_is_its_url_path(name: str, route: str, function: str) -> None:
    found = module(name)

    assert (found.name, found.route, http_name(found)) == (name, route, function)


@pytest.mark.parametrize("name", ["a b", "[1]", "[id", "naïve", "a[b]"])
def test_a_file_that_gives_no_url_path_is_refused(name: str) -> None:
    with pytest.raises(BuildError, match="gives no URL path"):
        module(name)


def test_two_modules_of_one_shape_of_path_are_an_error_naming_both() -> None:
    with pytest.raises(BuildError, match=r"\[id\]\.py and .*\[name\]\.py both answer"):
        plan([], [module("users/[id]"), module("users/[name]")], "shared")


def test_entries_say_what_they_are_about() -> None:
    entries = plan([facts("a"), facts("b")], [module("publish")], "shared")

    assert [entry.about for entry in entries] == ["functions/api/publish.py", "workflows a, b"]
    assert isinstance(entries[0], HttpEntry)
    assert entries[0].file == "kit-api-publish.mjs"


def test_workflows_with_records_share_a_function_whatever_their_retries() -> None:
    found = [
        facts("a", store="blobs"),
        facts("b", store="blobs", max_retries=1, timeout=5_000),
        facts("c", store="blobs", background=True),
        facts("d", store="awl"),
    ]

    entries = plan(found, [], "shared")

    assert [entry.name for entry in entries] == [
        "kit-retention",
        "kit-runs",
        "kit-workflows",
        "kit-workflows-blobs",
        "kit-workflows-blobs-background",
    ]
    assert own_name(facts("a", store="blobs")) == "kit-workflow-a-blobs"
    assert [entry.about for entry in entries[:2]] == ["the end of old runs", "the runs API"]
    assert isinstance(entries[1], RecordsEntry)
    assert entries[1].homes == {
        "a": "kit-workflows-blobs",
        "b": "kit-workflows-blobs",
        "c": "kit-workflows-blobs-background",
    }


def test_without_records_there_is_no_runs_api() -> None:
    entries = plan([facts("a"), facts("b", store="awl")], [], "shared")

    assert not [entry for entry in entries if isinstance(entry, RecordsEntry)]
