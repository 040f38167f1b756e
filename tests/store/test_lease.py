import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kit.model.errors import StoreError, StoreInUseError
from kit.store.sqlite import lease as lease_module
from kit.store.sqlite.lease import Lease, holder, is_held, lease_path

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


def test_one_that_is_given_back_in_a_moment_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Lease(path)
    monkeypatch.setattr(time, "sleep", lambda _: first.release())
    with Lease(path, patience=60) as second:
        second.check()


def test_one_whose_file_is_deleted_while_it_is_taken_is_taken_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, deleted = lease_module._lock, []

    def too_late(file: int, **how: Any) -> bool:
        if not deleted:
            deleted.append(lease_path(path).unlink())
        return lock(file, **how)

    monkeypatch.setattr(lease_module, "_lock", too_late)
    with Lease(path) as lease:
        lease.check()


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
    with Lease(path):
        lease_path(path).write_text("")
        with pytest.raises(StoreInUseError, match=r"process \(unknown\)"):
            Lease(path)


def test_a_lease_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        Lease(tmp_path / "file" / "runs.db")


def test_each_lane_has_a_lease_of_its_own(path: Path) -> None:
    with Lease(path), Lease(path, 1):
        assert is_held(path, 1)
        assert not is_held(path, 2)
    assert not is_held(path)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lease_whose_file_was_deleted_or_replaced_is_lost(path: Path, replaced: bool) -> None:
    with Lease(path) as lease:
        lease.check()
        lease_path(path).unlink()
        if replaced:
            lease_path(path).touch()
        with pytest.raises(StoreError, match="deleted or replaced"):
            lease.check()


def test_reading_the_lease_file_in_the_same_process_does_not_lose_it(path: Path) -> None:
    with Lease(path):
        lease_path(path).read_bytes()
        assert is_held(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_hold_its_parents_lease(path: Path) -> None:
    lease = Lease(path)
    alive, tell_alive = os.pipe()
    ended, tell_end = os.pipe()
    child = os.fork()
    if not child:
        os.write(tell_alive, b"x")
        os.read(ended, 1)  # until the parent says so
        os._exit(0)
    try:
        os.read(alive, 1)
        assert is_held(path)
        lease.release()
        assert not is_held(path), "the child keeps it"
    finally:
        os.write(tell_end, b"x")
        os.waitpid(child, 0)
        for each in (alive, tell_alive, ended, tell_end):
            os.close(each)
