"""Settings: every source, which one counts, and what is said of a wrong one."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from kit.model.errors import ConfigError, WorkflowDisabledError
from kit.project import config as config_module
from kit.project.config import Config, WorkflowConfig, load


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A project's folder; the `.git` keeps the search from leaving it."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def read(root: Path, text: str = "", environ: Mapping[str, str] | None = None, **x: Any) -> Config:
    """Load the settings of a project whose kit.yaml is *text*."""
    if text:
        (root / "kit.yaml").write_text(text, encoding="utf-8")
    return load(root, environ=environ or {}, **x)


def refusal(root: Path, text: str = "", environ: Mapping[str, str] | None = None, **x: Any) -> str:
    """Return what `load` says of settings it refuses."""
    with pytest.raises(ConfigError) as caught:
        read(root, text, environ, **x)
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown + repr(caught.value.__context__)
    return caught.value.message


# ---------------------------------------------------------------- precedence

NETLIFY = {"NETLIFY": "true", "CONTEXT": "production"}
SOURCES = ["argument", "environment", ".env", "file", "hosting", "default"]
VALUES: dict[str, tuple[str, Any, Any]] = {
    # field: how the value of the source X reads, what it becomes, the default
    "base_url": ("https://{}.example", "https://{}.example", None),
    "api_key": ("key-{}", "key-{}", None),
    "path": ("{}.db", "{}.db", ".kit/runs.db"),
    "folder": ("{}", "{}", "functions/workflows"),
}
ORIGINS = {
    "argument": "argument {field}",
    "environment": "environment WORKFLOW_{variable}",
    ".env": ".env WORKFLOW_{variable}",
    "file": "kit.yaml workflow.{camel}",
    "hosting": "Netlify ({found})",
    "default": "default",
}
FOUND = {"base_url": "URL", "api_key": "AWL_API_KEY"}
CAMEL = {"base_url": "baseUrl", "api_key": "apiKey"}


def _cases() -> list[tuple[str, list[str]]]:
    found = []
    for field in VALUES:
        known = [source for source in SOURCES if source != "hosting" or field in FOUND]
        found += [(field, known[start:]) for start in range(len(known))]
    return found


@pytest.mark.parametrize(("field", "given"), _cases())
def test_the_first_source_that_speaks_counts(root: Path, field: str, given: list[str]) -> None:
    spelling, outcome, default = VALUES[field]
    value = {source: spelling.format(source.strip(".")) for source in SOURCES}
    camel, variable = CAMEL.get(field, field), field.upper()
    environ = dict(NETLIFY) if "hosting" in given else {}
    if "hosting" in given:
        environ[FOUND[field]] = value["hosting"]
    if "environment" in given:
        environ[f"WORKFLOW_{variable}"] = value["environment"]
    if ".env" in given:
        (root / ".env").write_text(f"WORKFLOW_{variable}={value['.env']}\n")
    text = f"workflow:\n  {camel}: {value['file']}\n" if "file" in given else ""
    arguments = {field: value["argument"]} if "argument" in given else {}

    found = read(root, text, environ, **arguments)

    actual = getattr(found.get_workflow(), field)
    actual = actual.get_secret_value() if isinstance(actual, SecretStr) else actual
    winner = given[0]
    assert actual == (default if winner == "default" else outcome.format(winner.strip(".")))
    assert str(found.origins[field]) == ORIGINS[winner].format(
        field=field, variable=variable, camel=camel, found=FOUND.get(field)
    )
    assert found.origins[field].kind == winner


def test_sources_complete_each_other(root: Path) -> None:
    (root / ".env").write_text("export WORKFLOW_API_KEY='k'\nOTHER=x\n")

    found = read(
        root,
        "workflow:\n  store: blobs\n  concurrency: 5\n",
        {"WORKFLOW_DURABILITY": "normal", "WORKFLOW_CONCURRENCY": "7"},
        replay="always",
    )

    assert found.workflow == WorkflowConfig(
        api_key=SecretStr("k"), store="blobs", durability="normal", concurrency=7, replay="always"
    )


@pytest.mark.parametrize("name", ["BASE_URL", "NAME", "STORE", "PATH", "baseUrl", "workflow_store"])
def test_a_variable_without_the_prefix_fills_no_field(root: Path, name: str) -> None:
    assert read(root, "", {name: "leak"}).workflow == WorkflowConfig()


def test_the_shell_leaks_nothing_when_an_environment_is_given(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_STORE", "leak")
    (root / ".env").write_text("WORKFLOW_PATH=${WORKFLOW_STORE}.db\n")

    found = read(root)

    assert found.get_workflow().store == "awl"
    assert found.get_workflow().path == "${WORKFLOW_STORE}.db"


def test_without_arguments_the_process_speaks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"WORKFLOW_STORE": "blobs"})
    monkeypatch.chdir(root)

    found = load()

    assert found.get_workflow().store == "blobs"
    assert found.root.samefile(root)


def test_unknown_and_empty_variables_are_nobodys_error(root: Path) -> None:
    environ = {"WORKFLOW_ID": "of another tool", "WORKFLOW_STORE": "", "WORKFLOW_API_KEY": ""}
    (root / ".env").write_text("WORKFLOW_OTHER=1\nWORKFLOW_REPLAY=\nWORKFLOW_PATH\n")

    assert read(root, "", environ).workflow == WorkflowConfig()


def test_an_argument_that_is_none_counts_as_not_given(root: Path) -> None:
    found = read(root, "workflow: {store: blobs}", store=None)

    assert found.get_workflow().store == "blobs"


def test_an_argument_that_is_no_setting_is_a_programming_mistake(root: Path) -> None:
    with pytest.raises(TypeError, match=r"'base_ur'. Did you mean base_url\?"):
        load(root, environ={}, base_ur="https://x.example")


# ---------------------------------------------------------------- provider and addresses


@pytest.mark.parametrize(
    ("environ", "provider", "origin"),
    [
        ({}, "local", "default"),
        ({"NETLIFY": "true"}, "netlify", "Netlify (NETLIFY is set)"),
        ({"KIT_ENTRY": "1"}, "netlify", "Netlify (KIT_ENTRY is set)"),
        (
            {"WORKFLOW_BASE_URL": "https://x.example"},
            "netlify",
            "baseUrl is set (environment WORKFLOW_BASE_URL)",
        ),
        (
            {"NETLIFY": "true", "WORKFLOW_PROVIDER": "local"},
            "local",
            "environment WORKFLOW_PROVIDER",
        ),
    ],
)
def test_the_provider_is_the_one_asked_for_or_found_out(
    root: Path, environ: dict[str, str], provider: str, origin: str
) -> None:
    found = read(root, "", environ)

    assert found.provider == provider
    assert str(found.origins["provider"]) == origin


def test_a_key_found_elsewhere_than_on_netlify_is_said_to_be_a_variable(root: Path) -> None:
    found = read(root, "", {"AWL_API_KEY_P1": "k"})

    assert found.api_key == SecretStr("k")
    assert str(found.origins["api_key"]) == "environment AWL_API_KEY_P1"


def test_a_base_url_is_reduced_to_its_origin(root: Path) -> None:
    assert read(root, base_url="HTTPS://X.example:443/a?b").base_url == "https://x.example"


def test_a_base_url_without_a_scheme_is_refused_with_the_right_one(root: Path) -> None:
    assert refusal(root, "workflow:\n  store: awl\n  baseUrl: x.example\n") == (
        f"{root / 'kit.yaml'} line 3, workflow.baseUrl: 'x.example' has no scheme:"
        " did you mean 'https://x.example'?"
    )


def test_a_password_in_a_base_url_is_refused_and_not_repeated(root: Path) -> None:
    says = refusal(root, environ={"WORKFLOW_BASE_URL": "https://me:s3cret@x.example"})

    assert says.startswith("environment WORKFLOW_BASE_URL: it holds a user name or password")


def test_a_key_over_plain_http_is_refused_naming_both_sources(root: Path) -> None:
    environ = {"WORKFLOW_BASE_URL": "http://x.example", "AWL_API_KEY": "s3cret"}

    assert refusal(root, environ=environ) == (
        "environment WORKFLOW_BASE_URL: 'http://x.example' is plain http, and an API key would"
        " travel in the clear: use https:// (the key is from: environment AWL_API_KEY)"
    )
    assert read(root, environ={**environ, "WORKFLOW_BASE_URL": "http://127.0.0.1:8888"}).api_key


# ---------------------------------------------------------------- secrets

SECRET = "s3cret-key"


def test_a_key_is_never_shown(root: Path) -> None:
    found = read(root, f"workflow:\n  apiKey: {SECRET}\n")

    assert found.api_key is not None
    assert found.api_key.get_secret_value() == SECRET
    shown = f"{found!r} {found} {found.workflow!r} {found.workflow} {found.hosting!r}"
    assert SECRET not in shown + str(found.get_workflow().model_dump())
    assert SECRET not in found.get_workflow().model_dump_json()


@pytest.mark.parametrize("key", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\0", f"{SECRET}ü", ""])
def test_a_key_that_no_header_could_carry_is_refused_unseen(root: Path, key: str) -> None:
    says = refusal(root, api_key=key)

    assert says.startswith("argument api_key: it is empty, or holds a blank")


def test_a_key_of_a_wrong_type_is_refused_unseen(root: Path) -> None:
    assert refusal(root, "workflow:\n  apiKey: 1234567\n") == (
        f"{root / 'kit.yaml'} line 2, workflow.apiKey: its value (hidden) is a number;"
        " it must be the key as text, in quotes"
    )


def test_a_key_argument_of_a_wrong_type_is_refused_unseen(root: Path) -> None:
    assert refusal(root, api_key=["s3cret"]) == (
        "argument api_key: its value (hidden) will not do; it must be the key as text, in quotes"
    )


def test_a_key_in_a_file_that_is_no_yaml_is_not_repeated(root: Path) -> None:
    assert refusal(root, "workflow:\n  apiKey: 's3cret\n  store: awl\n")


# ---------------------------------------------------------------- wrong values


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("store: awll", '\'awll\' will not do; it must be "awl" or "blobs"'),
        ("store: [awl]", 'it is a list; it must be "awl" or "blobs"'),
        ("store:", 'it has no value; it must be "awl" or "blobs"'),
        ("provider: off", 'it is false; it must be "netlify" or "local"'),
        ("provider: vercel", '\'vercel\' will not do; it must be "netlify" or "local"'),
        ("concurrency: '5'", "'5' is text; it must be a whole number from 1 to 10000"),
        ("concurrency: 1.5", "1.5 is a number; it must be a whole number from 1 to 10000"),
        ("concurrency: true", "it is true; it must be a whole number from 1 to 10000"),
        ("concurrency: 0", "0 will not do; it must be a whole number from 1 to 10000"),
        ("concurrency: 10001", "10001 will not do; it must be a whole number from 1 to 10000"),
        ("path: {a: b}", "it is a section; it must be the path of a file"),
        ("path: 2026-01-01", "it is a date; it must be the path of a file"),
        ("path: ''", "'' is no path: write one without control characters"),
        ('path: "a\\0b"', "'a\\x00b' is no path: write one without control characters"),
        ("bundle: each", '\'each\' will not do; it must be "shared" or "per-workflow"'),
        ("python: 3.13", '3.13 is a number; it must be a version in quotes, such as "3.13"'),
        (
            "python: '3.10'",
            "'3.10' is no version the kit runs on: write it as 3.13, from 3.11 up",
        ),
        (
            "python: '3'",
            "'3' is no version the kit runs on: write it as 3.13, from 3.11 up",
        ),
        ("folder: ../x", "'../x' leads out of the project: give a folder inside it"),
        ("folder: /etc", "'/etc' leads out of the project: give a folder inside it"),
        ("folder: 'C:\\x'", "'C:\\\\x' leads out of the project: give a folder inside it"),
    ],
)
def test_a_wrong_value_in_the_file_is_said_with_its_line_and_what_to_do(
    root: Path, line: str, says: str
) -> None:
    key = line.partition(":")[0]

    assert refusal(root, f"# settings\nworkflow:\n  {line}\n") == (
        f"{root / 'kit.yaml'} line 3, workflow.{key}: {says}"
    )


def test_every_wrong_value_is_said_at_once(root: Path) -> None:
    (root / ".env").write_text("WORKFLOW_REPLAY=never\n")

    says = refusal(
        root,
        "workflow: {store: s3}",
        {"WORKFLOW_CONCURRENCY": "many"},
        durability="most",
    )

    assert sorted(says.splitlines()) == [
        '.env WORKFLOW_REPLAY: \'never\' will not do; it must be "pauses" or "always"',
        f"{root / 'kit.yaml'} line 1, workflow.store: 's3' will not do;"
        ' it must be "awl" or "blobs"',
        'argument durability: \'most\' will not do; it must be "full" or "normal"',
        "environment WORKFLOW_CONCURRENCY: 'many' will not do;"
        " it must be a whole number from 1 to 10000",
    ]


def test_what_is_expected_of_a_field_is_what_the_model_takes() -> None:
    expected = config_module._EXPECTED

    assert set(expected) == set(WorkflowConfig.model_fields)
    for name, field in WorkflowConfig.model_fields.items():
        options = [o for a in (field.annotation, *get_args(field.annotation)) for o in get_args(a)]
        for option in options:
            assert not isinstance(option, str) or f'"{option}"' in expected[name]


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "workflow:\n", "workflow: {}", "{}"])
def test_a_file_that_says_nothing_is_fine(root: Path, text: str) -> None:
    (root / "kit.yaml").write_text(text)

    assert load(root, environ={}).workflow == WorkflowConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "workflow:\n  base_url: x\n",
            " line 2, workflow.base_url: there is no such key. Did you mean baseUrl?",
        ),
        (
            "workflow:\n  stroe: x\n",
            " line 2, workflow.stroe: there is no such key. Did you mean store?",
        ),
        (
            "workflow:\n  1: x\n",
            " line 2, workflow.1: there is no such key. Known: apiKey, baseUrl, bundle,"
            " concurrency, durability, folder, path, provider, python, replay, store.",
        ),
        ("workflows: {}", ": there is no key 'workflows' at the top. Did you mean workflow?"),
        (
            "baseUrl: x",
            ": there is no key 'baseUrl' at the top. All settings stand below `workflow:`.",
        ),
        ("1: x", ": there is no key '1' at the top. All settings stand below `workflow:`."),
        ("- workflow", " holds a list; it must hold keys, at the top `workflow:`"),
        ("workflow", " holds text; it must hold keys, at the top `workflow:`"),
        (
            "\nworkflow: true",
            " line 2, workflow: it is true, but must be a section of keys, or false to switch"
            " workflows off",
        ),
        ("workflow: [a]", None),
        ("workflow: local", None),
        ("workflow:\n\tstore: awl\n", " line 2: there is a tab. YAML is indented with spaces only"),
        (
            "workflow:\n  store: awl\n\tpath: x\n",
            " line 3: there is a tab. YAML is indented with spaces only",
        ),
        (
            "workflow:\n  store: awl\n  path: x\n  store: blobs\n",
            " line 4: workflow.store is given twice, first on line 2. Keep one of them",
        ),
        (
            "workflow: {}\nworkflow: {}\n",
            " line 2: workflow is given twice, first on line 1. Keep one of them",
        ),
        ("workflow:\n  store: 'awl\n", None),
        ("workflow: {store: *nothing}", None),
        ("workflow: !!python/object/apply:os.system ['true']", None),
        ("a: b: c", None),
        ("--- {}\n--- {}\n", None),
        ("workflow: \x07", " is no valid YAML: special characters are not allowed"),
        ("workflow: {path: 2026-13-45}", None),
        ("[" * 5000, None),
        ("? [a]\n: b\n", None),
        ("workflow: &a\n  path: *a\n", None),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_with_what_is_wrong(
    root: Path, text: str, says: str | None
) -> None:
    actual = refusal(root, text)

    assert actual.startswith(str(root / "kit.yaml"))
    assert says is None or actual == f"{root / 'kit.yaml'}{says}"


def test_merge_keys_are_merged(root: Path) -> None:
    found = read(root, "workflow:\n  <<: {store: blobs, path: a.db}\n  path: b.db\n")

    assert (found.get_workflow().store, found.get_workflow().path) == ("blobs", "b.db")


def test_a_file_that_is_no_utf8_is_named(root: Path) -> None:
    (root / "kit.yaml").write_bytes(b"workflow: \xff\n")

    assert (
        refusal(root)
        == f"{root / 'kit.yaml'} cannot be read: it is not UTF-8. Save it with that encoding"
    )


def test_a_byte_order_mark_is_no_trouble(root: Path) -> None:
    (root / "kit.yaml").write_bytes(b"\xef\xbb\xbfworkflow: {store: blobs}\n")
    (root / ".env").write_bytes(b"\xef\xbb\xbfWORKFLOW_PATH=x\n")

    found = load(root, environ={}).get_workflow()

    assert (found.store, found.path) == ("blobs", "x")


def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "kit.yaml").mkdir()

    assert refusal(root) == (
        f"{root / 'kit.yaml'} cannot be read: Is a directory. Check what it is and who may read it"
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_nobody_may_read_is_named(root: Path) -> None:
    (root / "kit.yaml").touch(mode=0)

    assert "cannot be read: Permission denied" in refusal(root)


def test_a_folder_called_dot_env_is_somebodys_virtual_environment(root: Path) -> None:
    (root / ".env").mkdir()

    assert load(root, environ={}).enabled


# ---------------------------------------------------------------- which file


def test_the_nearest_file_upward_makes_the_project(root: Path) -> None:
    below = root / "a" / "b"
    below.mkdir(parents=True)
    (root / "kit.yml").write_text("workflow: {store: blobs}")
    (root / ".env").write_text("WORKFLOW_PATH=x.db")

    found = load(below, environ={})

    assert (found.root, found.file) == (root, root / "kit.yml")
    assert str(found.origins["store"]) == "kit.yml workflow.store"
    assert found.path == root / "x.db"
    assert found.folder == root / "functions/workflows"


def test_the_search_does_not_leave_the_repository(root: Path) -> None:
    inner = root / "inner"
    (inner / ".git").mkdir(parents=True)
    (root / "kit.yaml").write_text("workflow: {store: blobs}")

    found = load(inner, environ={})

    assert (found.root, found.file, found.get_workflow().store) == (inner, None, "awl")


@pytest.mark.parametrize("marker", ["netlify.toml", "pyproject.toml"])
def test_without_a_file_the_nearest_marked_folder_is_the_project(root: Path, marker: str) -> None:
    project = root / "project"
    (project / "below").mkdir(parents=True)
    (project / marker).touch()

    assert load(project / "below", environ={}).root == project


def test_without_any_mark_the_start_is_the_project(tmp_path: Path) -> None:
    assert load(tmp_path, environ={}).root == tmp_path


def test_pyproject_holds_the_same_settings(root: Path) -> None:
    (root / "pyproject.toml").write_text("[tool.kit.workflow]\nstore = 'blobs'\n")

    found = read(root)

    assert found.get_workflow().store == "blobs"
    assert str(found.origins["store"]) == "pyproject.toml tool.kit.workflow.store"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.kit.workflow]\nstore = 1\n", "tool.kit.workflow.store: 1 is a number; it must be"),
        ("[tool.kit.workflow]\nstores = 1\n", "tool.kit.workflow.stores: there is no such key."),
        ("[tool.kit]\nworkflow = 1\n", "tool.kit.workflow: it is a number, but must be"),
        ("[tool]\nkit = 1\n", "holds a number; it must hold keys"),
        ("[tool.kit\n", "is no valid TOML: "),
        ("[tool.kit.workflow]\nstore = 'awl'\nstore = 'awl'\n", "is no valid TOML: "),
    ],
)
def test_pyproject_is_checked_the_same(root: Path, text: str, says: str) -> None:
    (root / "pyproject.toml").write_text(text)

    assert refusal(root).startswith(f"{root / 'pyproject.toml'} {says}")


@pytest.mark.parametrize("text", ["", "[broken", "tool = 'kit'", "[project]\nname = 'kit'\n"])
def test_a_pyproject_of_others_is_left_alone(root: Path, text: str) -> None:
    (root / "pyproject.toml").write_text(text)

    assert read(root).file is None


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("kit.yaml", "kit.yml"), "kit.yaml and kit.yml"),
        (("kit.yaml", "pyproject.toml"), "kit.yaml and [tool.kit] in pyproject.toml"),
    ],
)
def test_two_files_in_one_folder_are_refused(root: Path, names: tuple[str, str], says: str) -> None:
    for name in names:
        (root / name).write_text("[tool.kit]\n" if name.endswith("toml") else "")

    assert refusal(root) == (f"{root} has both {says}: keep one, so that no setting hides another")


# ---------------------------------------------------------------- switched off


@pytest.mark.parametrize(
    ("text", "argument", "origin"),
    [
        ("workflow: false", None, "kit.yaml workflow: false"),
        ("workflow: {}", False, "argument workflow=False"),
        ("workflow: false", False, "argument workflow=False"),
    ],
)
def test_workflows_can_be_switched_off(
    root: Path, text: str, argument: bool | None, origin: str
) -> None:
    found = read(root, text, {"WORKFLOW_STORE": "blobs"}, workflow=argument)

    assert (found.enabled, found.workflow, found.base_url, found.api_key) == (False, *[None] * 3)
    assert {name: str(o) for name, o in found.origins.items()} == {"workflow": origin}
    with pytest.raises(WorkflowDisabledError, match="workflows are switched off"):
        found.get_workflow()
    with pytest.raises(WorkflowDisabledError):
        _ = found.path


def test_an_argument_switches_them_on_again(root: Path) -> None:
    found = read(root, "workflow: false", {"WORKFLOW_STORE": "blobs"}, workflow=True)

    assert found.get_workflow().store == "blobs"


# ---------------------------------------------------------------- the model by itself


def test_the_model_made_directly_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_STORE", "blobs")

    assert WorkflowConfig().store == "awl"


def test_a_path_may_be_given_as_a_path(root: Path) -> None:
    found = read(root, path=Path("a") / "b.db", folder=Path("flows"))

    assert (found.path, found.folder) == (root / "a" / "b.db", root / "flows")


def frames_of(error: BaseException | None) -> Iterator[Any]:
    """Yield what a report with local variables would show of *error* and what led to it."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.startswith(
                str(Path(config_module.__file__).parent)
            ):
                yield from trace.tb_frame.f_locals.values()
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("text", "environ", "arguments"),
    [
        ("workflow:\n  store: awll\n", {"WORKFLOW_API_KEY": SECRET}, {}),
        (f"workflow:\n  apiKey: {SECRET}\n  store: awll\n", {}, {}),
        ("", {"WORKFLOW_BASE_URL": "http://x.example", "AWL_API_KEY": SECRET}, {}),
        ("", {}, {"api_key": f"{SECRET} "}),
        ("", {}, {"api_key": SECRET, "concurrency": 0}),
        ("", {}, {"api_key": SECRET, "nonsense": 1}),
    ],
)
def test_no_frame_of_an_error_holds_the_key(
    root: Path, text: str, environ: dict[str, str], arguments: dict[str, Any]
) -> None:
    with pytest.raises((ConfigError, TypeError)) as caught:
        read(root, text, environ, **arguments)
    assert SECRET not in repr(list(frames_of(caught.value)))
    assert caught.value.__traceback__ is not None
