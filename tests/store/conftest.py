from pathlib import Path

import pytest

from kit.model.run import Run, RunStatus

ID = "0b0b0b0b-0000-4000-8000-00000000000a"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def a_run(run_id: str = ID, status: RunStatus = RunStatus.QUEUED, **facts: object) -> Run:
    return Run(run_id, "flow", status, "null", **facts)  # type: ignore[arg-type]
