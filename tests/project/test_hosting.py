"""Where a process runs, judged from plain mappings."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from kit.project.hosting import Variable, detect, is_true


@pytest.mark.parametrize("mark", ["NETLIFY", "NETLIFY_LOCAL", "NETLIFY_DEV", "KIT_ENTRY"])
@pytest.mark.parametrize("value", ["true", "1", "TRUE", "yes"])
def test_each_mark_says_netlify_and_is_named(mark: str, value: str) -> None:
    hosting = detect({mark: value})

    assert hosting.is_netlify
    assert hosting.reason == f"{mark} is set"


@pytest.mark.parametrize("value", ["", " ", "0", "false", "False", "no", "off"])
def test_a_mark_that_says_no_counts_as_absent(value: str) -> None:
    hosting = detect({"NETLIFY": value})

    assert not hosting.is_netlify
    assert hosting.reason.startswith("none of NETLIFY, ")
    assert not is_true(value)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"CONTEXT": "production", "URL": "u", "DEPLOY_URL": "d"}, Variable("URL", "u")),
        ({"CONTEXT": "production", "DEPLOY_URL": "d"}, Variable("DEPLOY_URL", "d")),
        ({"CONTEXT": "deploy-preview", "URL": "u", "DEPLOY_URL": "d"}, Variable("DEPLOY_URL", "d")),
        ({"CONTEXT": "dev", "URL": "u"}, Variable("URL", "u")),
        ({"CONTEXT": "dev", "URL": "u", "DEPLOY_URL": ""}, Variable("URL", "u")),
        ({"URL": "u", "DEPLOY_URL": "d"}, Variable("DEPLOY_URL", "d")),
    ],
)
def test_on_netlify_the_address_is_the_sites_in_production_and_else_the_deploys(
    environ: dict[str, str], expected: Variable[str] | None
) -> None:
    assert detect({"NETLIFY": "true", **environ}).base_url == expected


def test_elsewhere_a_variable_called_url_means_nothing() -> None:
    assert detect({"URL": "https://x.example", "CONTEXT": "production"}).urls == ()


def named(name: str, key: str) -> Variable[SecretStr]:
    return Variable(name, SecretStr(key))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"AWL_API_KEY": "a"}, named("AWL_API_KEY", "a")),
        ({"AWL_API_KEY": ""}, None),
        ({"AWL_API_KEY": "a", "AWL_API_KEY_P0": "b"}, named("AWL_API_KEY_P0", "b")),
        (
            {"AWL_API_KEY_P10": "c", "AWL_API_KEY_P9": "b"},
            named("AWL_API_KEY_P10", "c"),
        ),
        ({"AWL_API_KEY_P2": "", "AWL_API_KEY_P1": "b"}, named("AWL_API_KEY_P1", "b")),
        ({"AWL_API_KEY_PX": "b", "AWL_API_KEY_P": "c", "X_AWL_API_KEY_P1": "d"}, None),
    ],
)
def test_the_key_with_the_highest_number_counts(
    environ: dict[str, str], expected: Variable[SecretStr] | None
) -> None:
    assert detect(environ).api_key == expected


def test_the_repr_of_what_was_detected_holds_no_key() -> None:
    assert "s3cret" not in repr(detect({"AWL_API_KEY": "s3cret", "NETLIFY": "1"}))
