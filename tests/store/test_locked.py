import os
import sqlite3
from pathlib import Path

import pytest

from kit.model.errors import StoreError
from kit.store.sqlite.direct import request_stop
from kit.store.sqlite.lease import Lease
from kit.store.sqlite.schema import connect


@pytest.fixture(autouse=True)
def _locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(path).close()
    monkeypatch.setattr("kit.store.sqlite.schema.BUSY_SECONDS", 0)


def refusal(path: Path) -> str:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreError) as caught:
            request_stop(path, "some-run", 0)
    finally:
        other.close()
    return caught.value.message


def test_of_a_locked_file_the_process_that_drives_its_runs_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.store.sqlite.locked.holder", lambda _: 4711)
    said = refusal(path)
    assert "is locked: another program" in said
    assert "process 4711 drives its runs: `kill -CONT 4711` wakes it if it is suspended" in said


def test_where_nobody_drives_or_this_process_does_none_is_named(path: Path) -> None:
    assert "kill" not in refusal(path)
    with Lease(path):
        said = refusal(path)
    assert str(os.getpid()) not in said
    assert "kill" not in said
