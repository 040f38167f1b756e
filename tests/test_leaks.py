"""The guard of this suite: a test that leaves something behind fails, and no other."""

import logging
import re
import signal
from collections.abc import Iterator

import pytest

from tests.support import leaks

LEAVES = {
    "the thread 'mine'": "kept.append(threading.Event());"
    " threading.Thread(target=kept[-1].wait, name='mine').start()",
    "the process": "kept.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1))",
    "pipe:": "kept.extend(open(end) for end in os.pipe())",
    "socket:": "kept.append(socket.socket())",
    "ResourceWarning": "round = [open(__file__)]; round.append(round)",
    "the module stray": "sys.modules['stray'] = types.ModuleType('stray')",
    "another module kit.model": "del sys.modules['kit.model']",
    "the environment changed": "os.environ['ONE'] = '1'",
    "the current folder changed": "os.chdir('/')",
    "sys.path changed": "sys.path.append('x')",
    "the handler of SIGUSR1 changed": "signal.signal(signal.SIGUSR1, print)",
    "the logger 'kit' changed": "logging.getLogger('kit').setLevel(1)",
    "the task": "kept.append(asyncio.create_task(asyncio.sleep(9)))",
}
BEGIN = """
import asyncio, logging, os, signal, socket, subprocess, sys, threading, time, types
import kit.model
from tests.test_leaks import kept
"""
PAIR = """
async def test_{number}_leaves_something():
    {line}

def test_{number}_does_not():
    pass
"""
INI = """
[pytest]
addopts = -p no:randomly -p no:cacheprovider
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

kept: list = []


@pytest.fixture(autouse=True)
def _tidy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the guard cannot put back by itself is put back here."""
    monkeypatch.setattr(leaks, "GRACE_SECONDS", 0.05)
    handler, level = signal.getsignal(signal.SIGUSR1), logging.getLogger("kit").level
    yield
    signal.signal(signal.SIGUSR1, handler)
    logging.getLogger("kit").setLevel(level)
    for each in kept:
        getattr(each, "close", getattr(each, "set", lambda: None))()
        if hasattr(each, "stdin"):
            each.stdin.close()
            each.wait()
    kept.clear()


def test_what_a_test_leaves_behind_is_its_own_failure(pytester: pytest.Pytester) -> None:
    pairs = [PAIR.format(number=number, line=line) for number, line in enumerate(LEAVES.values())]
    pytester.makepyfile(BEGIN + "".join(pairs))
    pytester.makeini(INI)

    result = pytester.runpytest_inprocess(plugins=[leaks.Guard()])

    result.assert_outcomes(passed=2 * len(LEAVES), errors=len(LEAVES))
    for number, what in enumerate(LEAVES):
        told = rf"teardown of test_{number}_leaves_something _+\nthe test left behind:\n  {what}"
        assert re.search(told, result.stdout.str()), what


def test_the_guard_is_on_duty(request: pytest.FixtureRequest) -> None:
    assert isinstance(request.config.pluginmanager.get_plugin("leaks"), leaks.Guard)
