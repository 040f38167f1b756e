"""Settings: what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from kit.project import config as config_module
from kit.project.config import WorkflowConfig


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("store: awll", '\'awll\' will not do; it must be "awl" or "blobs"'),
        ("store: [awl]", 'it is a list; it must be "awl" or "blobs"'),
        ("store:", 'it has no value; it must be "awl" or "blobs"'),
        ("provider: off", 'it is false; it must be "netlify" or "local"'),
        ("provider: vercel", '\'vercel\' will not do; it must be "netlify" or "local"'),
        (
            "include: data/x.json",
            "'data/x.json' is text; it must be a list of paths in quotes,"
            ' such as ["data/tokens.json"]',
        ),
        ("include: [../x]", "'../x' leads out of the project: give paths inside it"),
        ("include: [/etc/passwd]", "'/etc/passwd' leads out of the project: give paths inside it"),
        ("include: [a/**b]", "'a/**b' is no pattern: ** stands for folders, between slashes"),
        (
            "include: [5]",
            'it is a list; it must be a list of paths in quotes, such as ["data/tokens.json"]',
        ),
        ("concurrency: '5'", "'5' is text; it must be a whole number from 1 to 10000"),
        ("concurrency: 1.5", "1.5 is a number; it must be a whole number from 1 to 10000"),
        ("concurrency: true", "it is true; it must be a whole number from 1 to 10000"),
        ("concurrency: 0", "0 will not do; it must be a whole number from 1 to 10000"),
        ("concurrency: 10001", "10001 will not do; it must be a whole number from 1 to 10000"),
        ("path: {a: b}", "it is a section; it must be the path of a file"),
        ("path: 2026-01-01", "it is a date; it must be the path of a file"),
        ("path: ''", "'' is no path: write one without control characters"),
        ('path: "a\\0b"', "'a\\x00b' is no path: write one without control characters"),
        (
            "path: ':memory:'",
            "':memory:' is SQLite's own: runs are kept in a file, so give its path",
        ),
        (
            "path: 'file:x?mode=memory'",
            "'file:x?mode=memory' is SQLite's own: runs are kept in a file, so give its path",
        ),
        ("path: ~/runs.db", "'~/runs.db': ~ is not replaced here; write the folder out"),
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
    root: Path,
    line: str,
    says: str,
    refusal: Any,
) -> None:
    key = line.partition(":")[0]

    assert refusal(root, f"# settings\nworkflow:\n  {line}\n") == (
        f"{root / 'kit.yaml'} line 3, workflow.{key}: {says}"
    )


def test_every_wrong_value_is_said_at_once(root: Path, refusal: Any) -> None:
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
