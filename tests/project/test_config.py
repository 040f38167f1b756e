"""Settings: what they come to, and when they are switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kit.model.errors import WorkflowDisabledError
from kit.project.config import WorkflowConfig


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
    root: Path,
    environ: dict[str, str],
    provider: str,
    origin: str,
    read: Any,
) -> None:
    found = read(root, "", environ)

    assert found.provider == provider
    assert str(found.origins["provider"]) == origin


def test_a_key_found_elsewhere_than_on_netlify_is_said_to_be_a_variable(
    root: Path, read: Any
) -> None:
    found = read(root, "", {"AWL_API_KEY_P1": "k"})

    assert found.api_key == SecretStr("k")
    assert str(found.origins["api_key"]) == "environment AWL_API_KEY_P1"


def test_a_base_url_is_reduced_to_its_origin(root: Path, read: Any) -> None:
    assert read(root, base_url="HTTPS://X.example:443/a?b").base_url == "https://x.example"


def test_a_base_url_without_a_scheme_is_refused_with_the_right_one(
    root: Path, refusal: Any
) -> None:
    assert refusal(root, "workflow:\n  store: awl\n  baseUrl: x.example\n") == (
        f"{root / 'kit.yaml'} line 3, workflow.baseUrl: 'x.example' has no scheme:"
        " did you mean 'https://x.example'?"
    )


def test_a_password_in_a_base_url_is_refused_and_not_repeated(root: Path, refusal: Any) -> None:
    says = refusal(root, environ={"WORKFLOW_BASE_URL": "https://me:s3cret@x.example"})

    assert says.startswith("environment WORKFLOW_BASE_URL: it holds a user name or password")


def test_a_key_over_plain_http_is_refused_naming_both_sources(
    root: Path, read: Any, refusal: Any
) -> None:
    environ = {"WORKFLOW_BASE_URL": "http://x.example", "AWL_API_KEY": "s3cret"}

    assert refusal(root, environ=environ) == (
        "environment WORKFLOW_BASE_URL: 'http://x.example' is plain http, and an API key would"
        " travel in the clear: use https:// (the key is from: environment AWL_API_KEY)"
    )
    assert read(root, environ={**environ, "WORKFLOW_BASE_URL": "http://127.0.0.1:8888"}).api_key


@pytest.mark.parametrize(
    ("text", "argument", "origin"),
    [
        ("workflow: false", None, "kit.yaml workflow: false"),
        ("workflow: {}", False, "argument workflow=False"),
        ("workflow: false", False, "argument workflow=False"),
    ],
)
def test_workflows_can_be_switched_off(
    root: Path,
    text: str,
    argument: bool | None,
    origin: str,
    read: Any,
) -> None:
    found = read(root, text, {"WORKFLOW_STORE": "blobs"}, workflow=argument)

    assert (found.enabled, found.workflow, found.base_url, found.api_key) == (False, *[None] * 3)
    assert {name: str(o) for name, o in found.origins.items()} == {"workflow": origin}
    with pytest.raises(WorkflowDisabledError, match="workflows are switched off"):
        found.get_workflow()
    with pytest.raises(WorkflowDisabledError):
        _ = found.path


def test_an_argument_switches_them_on_again(root: Path, read: Any) -> None:
    found = read(root, "workflow: false", {"WORKFLOW_STORE": "blobs"}, workflow=True)

    assert found.get_workflow().store == "blobs"


def test_the_model_made_directly_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_STORE", "blobs")

    assert WorkflowConfig().store == "awl"


def test_a_path_may_be_given_as_a_path(root: Path, read: Any) -> None:
    found = read(root, path=Path("a") / "b.db", folder=Path("flows"))

    assert (found.path, found.folder) == (root / "a" / "b.db", root / "flows")
