"""`kit dev` as it is ended, killed, suspended and taken over from."""

from __future__ import annotations

import http.client
import signal
from contextlib import ExitStack, closing

import pytest

from kit.dev.server import GRACE_SECONDS
from tests.real.dev.project import BLOCKING, FAST, begin, go, wait
from tests.support.kit_dev import KitDev, until


def test_runs_are_kept_however_it_ends(dev: KitDev) -> None:
    """The next one brings to its end what each has left, and is ended in another way."""
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            run_id = wait(dev)
            said = dev.end(number)
            if number != signal.SIGKILL:
                assert dev.process.returncode == 0
                assert "Traceback" not in said
            go(dev)
            dev = stack.enter_context(KitDev(dev.root, environ=FAST))
            run = dev.ended(run_id)

            assert run["result"] == ["old", "old"]
            assert [step["id"] for step in run["steps"]][:3] == ["keep", "look 0", "nap 0"]
            (dev.root / "go").unlink()


def test_ctrl_c_ends_it_at_once_whoever_listens(dev: KitDev) -> None:
    wait(dev)
    with closing(http.client.HTTPConnection(dev.url.removeprefix("http://"))) as page:
        page.request("GET", "/_kit/feed?at=/")
        page.getresponse().readline()
        started = dev.processor_seconds
        computed = dev.computed_to_the_end()

    assert dev.process.returncode == 0
    assert "Traceback" not in dev.said
    # on any machine: a fraction of what it took to start, and then it is over, whatever it does
    assert computed < started / 2
    assert GRACE_SECONDS < 1


def test_ctrl_c_ends_it_even_while_a_handler_blocks_everything(dev: KitDev) -> None:
    (dev.root / "functions/workflows/blocking.py").write_text(BLOCKING)
    until(lambda: "reloaded" in dev.said)
    begin(dev, name="blocking")
    until((dev.root / "blocks").exists)
    dev.press()
    said = dev.end()  # pressed twice

    assert "it goes on from its last step" in said
    assert "Traceback" not in said


def test_a_second_one_shows_the_first_ones_runs_and_takes_over(dev: KitDev) -> None:
    with KitDev(dev.root, environ=FAST) as second:
        assert second.ready["runs"]["drivenBy"] == dev.process.pid
        assert dev.ended(begin(second))["result"] == ["old", "old"]
        run_id = wait(dev)
        dev.end(signal.SIGKILL)
        go(dev)

        assert second.ended(run_id)["result"] == ["old", "old"]


def test_a_laptop_that_was_shut_goes_on_where_it_was(dev: KitDev) -> None:
    run_id = wait(dev)
    dev.press(signal.SIGSTOP)
    with pytest.raises(TimeoutError):  # meanwhile its nap is over
        dev.ask("GET", "/_kit/", patience=0.3)
    dev.press(signal.SIGCONT)
    go(dev)

    assert dev.ended(run_id)["result"] == ["old", "old"]
    assert dev.ask("GET", "/_kit/").status == 200
