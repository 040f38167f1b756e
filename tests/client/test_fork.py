"""After a fork the child begins afresh: nothing of its parent's is used, or waited for."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.client import background
from kit.model.running import current
from kit.model.workflow import Workflow
from kit.testing import play

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(act: Callable[[], object]) -> int:
    """Return the exit status of a forked child that does *act*; 9 if that raises."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 9
    try:
        act()
        status = 0
    finally:
        os._exit(status)


def plain(input: object, context: object) -> int:
    return context.step.run("where", os.getpid)  # type: ignore[attr-defined, no-any-return]


def test_play_finds_a_thread_for_a_plain_step_in_the_child(tmp_path: Path) -> None:
    flow = Workflow(plain, name="flow")
    assert play(flow).result == os.getpid()

    def act() -> None:
        assert play(flow).result == os.getpid()

    assert in_child(act) == 0


def test_the_background_loop_is_the_childs_own() -> None:
    async def where() -> int:
        return threading.get_ident()

    before = background.loop()
    assert background.start(where()).result(5)

    def act() -> None:
        assert background.loop() is not before
        assert background.start(where()).result(5)

    assert in_child(act) == 0
    assert background.loop() is before


def test_a_fork_within_a_step_leaves_the_run_to_the_parent() -> None:
    def forks() -> int:
        return in_child(lambda: current.get() is None or os._exit(8))

    def handler(input: object, context: object) -> int:
        return context.step.run("fork", forks)  # type: ignore[attr-defined, no-any-return]

    assert play(Workflow(handler, name="flow")).result == 0


def test_what_belongs_to_the_parent_is_told_to_begin_afresh() -> None:
    class Held:
        fresh = False

        def begin_afresh(self) -> None:
            self.fresh = True

    held = Held()
    background.begins_afresh(held)

    def act() -> None:
        assert held.fresh

    assert in_child(act) == 0
    assert not held.fresh
