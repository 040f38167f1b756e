import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kit.model.errors import StoreError, StoreInUseError
from kit.store.sqlite.lease import Lease, holder

HOLD = "import sys; from pathlib import Path; from kit.store.sqlite.lease import Lease\n"
HOLD += "held = Lease(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_only_one_holds_the_lease(path: Path) -> None:
    with Lease(path):
        with pytest.raises(StoreInUseError, match=f"process {os.getpid()}") as caught:
            Lease(path)
        assert caught.value.pid == holder(path) == os.getpid()
    lease = Lease(path)
    lease.release()
    lease.release()


def test_another_process_is_named_and_its_end_however_sudden_frees_the_lease(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreInUseError) as caught:
            Lease(path)
        assert caught.value.pid == other.pid
        other.send_signal(signal.SIGKILL)
        other.wait(10)
        with Lease(path):
            assert holder(path) == os.getpid()


def test_nobody_is_known_where_there_is_no_lease(path: Path) -> None:
    assert holder(path) == 0
    path.with_name("runs.db-lease").touch()
    assert holder(path) == 0


def test_a_lease_nobody_has_signed_has_an_unknown_holder(path: Path) -> None:
    other = sqlite3.connect(path.with_name("runs.db-lease"), isolation_level=None)
    other.execute("CREATE TABLE holder (pid INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreInUseError, match=r"process \(unknown\)"):
        Lease(path)
    other.close()


def test_a_lease_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.with_name("runs.db-lease").write_bytes(b"not a database, for sure" * 50)
    with pytest.raises(StoreError, match="not a SQLite file"):
        Lease(path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        Lease(tmp_path / "file" / "runs.db")
