"""
Many processes on one run file: pools, forks, terminals, scripts.

Real servers, real forks, `kill -9`. Each run notes in a log which process has executed its steps.
"""

import contextlib
import os
import signal
import sqlite3
from collections import Counter

import pytest

from kit.store.sqlite.lease import holder
from kit.store.sqlite.reader import Reader
from tests.real.processes.server import PATIENCE, Server

POOL = """
import multiprocessing, sys
import kit.sync as kit

def one(number):
    run = kit.run_workflow("walk", number)
    return run.result(100)

if __name__ == "__main__":
    method, before = sys.argv[1:]
    if before == "after-a-run":
        kit.run_workflow("walk", "before").result(100)
    with multiprocessing.get_context(method).Pool(3) as pool:
        pids = pool.map(one, range(20))
    print(len(pids), len(set(pids)))
    kit.run_workflow("walk", "after").result(100)
    print("ended")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("before", ["at-once", "after-a-run"])
def test_a_pool_of_processes_shares_the_runs(server: Server, method: str, before: str) -> None:
    (server.root / "pool.py").write_text(POOL)
    said, _ = server.popen("pool.py", method, before).communicate(timeout=2 * PATIENCE)
    assert said.splitlines()[-1:] == ["ended"], said
    assert said.splitlines()[0].startswith("20 ")
    ran = Counter(name for _, name in server.log())
    assert set(ran.values()) == {1}
    server.is_in_order()


def test_terminals_side_by_side_each_get_their_result(server: Server) -> None:
    runs = [server.popen("-m", "kit.cli", "run", "walk", "--data", f'"{n}"') for n in range(3)]
    for process in runs:
        said, _ = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, said
    assert set(Counter(name for _, name in server.log()).values()) == {1}
    server.is_in_order()


WAITS = """
import kit.sync as kit
from kit.engine import silence

silence.SILENT_MS = 1000  # not ten seconds
run = kit.run_workflow("walk", "waits")
print("started", flush=True)
for _ in range(30):
    try:
        run.result(timeout=1.5)
    except TimeoutError as error:
        if "answered" in str(error):
            print("TimeoutError:", error, flush=True)
            break
print(run.result(60) > 0)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system suspends no process")
def test_a_suspended_driver_is_named_to_who_waits(server: Server) -> None:
    (server.root / "waits.py").write_text(WAITS)
    driver = server.popen("-m", "kit.cli", "run", "long", "--data", '"suspended"')
    try:
        server.is_begun("suspended")
        with contextlib.closing(sqlite3.connect(server.path, timeout=PATIENCE)) as other:
            other.execute("BEGIN IMMEDIATE")  # so that it is not suspended while it writes
            os.kill(driver.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, driver.pid, os.WSTOPPED)
        waits = server.popen("waits.py")
        assert waits.stdout is not None
        said = [waits.stdout.readline() for _ in range(3)]
    finally:
        os.kill(driver.pid, signal.SIGCONT)
        (server.root / "go-suspended").touch()
        driver.communicate(timeout=2 * PATIENCE)
    rest, _ = waits.communicate(timeout=2 * PATIENCE)
    silent = f"process {driver.pid} drives these runs and has not answered for "
    assert said[0] == "started\n"
    # which of the two comes first is a matter of moments
    told, raised = sorted(said[1:], key=lambda line: line.startswith("TimeoutError"))
    assert silent in told, "in the log"
    assert raised.startswith("TimeoutError: run ")
    assert "of 'walk' has not ended after 1.5 s: it is queued, and " + silent in raised
    assert f"`kill -CONT {driver.pid}`" in raised
    assert rest == "True\n"
    server.is_in_order()


FORKS = """
import os, sys
import kit.sync as kit

def act(name):
    return kit.run_workflow("walk", name).result(100)

act("before")
for number in range(5):
    child = os.fork()
    if not child:
        try:
            act(f"child-{number}")
            status = 0
        except BaseException as error:
            print("child", repr(error), flush=True)
            status = 1
        os._exit(status)
    act(f"parent-{number}")
    assert os.waitpid(child, 0)[1] == 0
print("ended")
"""


def test_a_program_forks_with_runs_under_way(server: Server) -> None:
    (server.root / "forks.py").write_text(FORKS)
    said, _ = server.popen("forks.py").communicate(timeout=2 * PATIENCE)
    assert said == "ended\n", said
    assert set(Counter(name for _, name in server.log()).values()) == {1}
    server.is_in_order()


def test_a_killed_parent_leaves_the_runs_to_its_children(server: Server) -> None:
    (server.root / "orphans.py").write_text(ORPHANS)
    process = server.popen("orphans.py")
    server.is_begun("child")
    parent = holder(server.path)
    assert parent == process.pid
    os.kill(parent, signal.SIGKILL)
    (server.root / "go-child").touch()
    said, _ = process.communicate(timeout=2 * PATIENCE)
    assert said == "child\n", said
    server.is_in_order()


ORPHANS = """
import os, time
import kit.sync as kit

kit.run_workflow("walk", "before").result(100)
if os.fork():
    time.sleep(600)
print(kit.run_workflow("long", "child").result(100), flush=True)
"""


def test_a_clean_end_leaves_one_whole_file(server: Server) -> None:
    process = server.popen("-m", "kit.cli", "run", "walk", "--data", '"x"')
    assert process.communicate(timeout=PATIENCE)
    script = server.root / "script.py"
    script.write_text("import kit.sync as kit\nprint(kit.run_workflow('walk', 'y').result(100))")
    assert server.popen("script.py").communicate(timeout=PATIENCE)
    (server.root / "copy").mkdir()
    copy = server.root / "copy/runs.db"
    copy.write_bytes(server.path.read_bytes())
    with contextlib.closing(Reader(copy)) as reader:
        assert len(reader.runs()) == 2
    assert server.path.stat().st_mode & 0o777 == 0o600
