"""What may stand in a `.env` file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.project.config import load


def test_a_folder_called_dot_env_is_somebodys_virtual_environment(root: Path) -> None:
    (root / ".env").mkdir()

    assert load(root, environ={}).enabled


@pytest.mark.parametrize(
    "line", ['WORKFLOW_STORE="awl', "WORKFLOW_STORE='awl", "WORKFLOW_STORE awl ="]
)
def test_a_line_of_dotenv_that_cannot_be_understood_is_not_passed_over(
    root: Path, refusal: Any, line: str
) -> None:
    (root / ".env").write_text(f"A=1\n{line}\n")
    assert refusal(root).startswith(f"{root / '.env'} line 2 cannot be understood: write it as")


def test_a_line_of_dotenv_that_is_somebody_elses_is_passed_over(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / ".env").write_text('OTHER="x\nWORKFLOW_STORE=blobs\n')
    assert load(root, environ={}).get_workflow().store == "blobs"
    assert not caplog.records
