"""Smaller parts of the server: logs, keys, the provider, what is known of a workflow."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.client import default
from kit.dev.access import Access, key_of
from kit.dev.lifespan import Lifespan
from kit.dev.local import LocalRuns
from kit.dev.logs import LINES, RUNS, LogHandler, kept
from kit.dev.provider import DevProvider
from kit.dev.workflows import LiveWorkflows, info_of, span
from kit.model.errors import ConfigError, RunNotFoundError
from kit.model.event import derived_id
from kit.model.retry import RetryPolicy
from kit.model.run import RunStatus
from kit.model.workflow import Workflow
from kit.project.config import load

from .conftest import ended, until


def log(keeper: LogHandler, run_id: str, text: str, *args: object) -> None:
    record = logging.makeLogRecord({"msg": text, "args": args, "event_id": run_id, "levelno": 20})
    keeper.emit(record)


def test_the_latest_lines_of_the_latest_runs_are_kept() -> None:
    told: list[str] = []
    keeper = LogHandler(told.append)
    for number in range(LINES + 5):
        log(keeper, "a", "line %d", number)
    lines = keeper.of("a")
    assert (len(lines), lines[0].text, lines[-1].text) == (LINES, "line 5", f"line {LINES + 4}")
    for number in range(RUNS):
        log(keeper, str(number), "x" * 20_000)
    assert keeper.of("a") == ()
    assert len(keeper.of("7")[0].text) == 10_000
    assert len(told) == LINES + 5 + RUNS


def test_however_much_is_logged_so_much_is_kept() -> None:
    keeper = LogHandler(lambda _: None, most=1_000)
    for run_id in ("a", "b", "c"):
        log(keeper, run_id, "x" * 400)
    assert [bool(keeper.of(run_id)) for run_id in ("a", "b", "c")] == [False, True, True]
    for _ in range(5):
        log(keeper, "c", "x" * 400)
    assert (keeper.of("b"), len(keeper.of("c"))) == ((), 6)
    log(keeper, "d", "short")
    assert (keeper.of("c"), len(keeper.of("d"))) == ((), 1)


def test_what_belongs_to_no_run_or_cannot_be_written_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keeper = LogHandler(lambda _: None)
    keeper.emit(logging.makeLogRecord({"msg": "x"}))
    log(keeper, "a", "%d", "no number")
    assert keeper.of("a") == ()
    assert "no number" in capsys.readouterr().err


def test_what_workflows_log_is_heard_only_meanwhile() -> None:
    logger = logging.getLogger("kit.workflow")
    before = (logger.level, list(logger.handlers))
    keeper = LogHandler(lambda _: None)
    with kept(keeper):
        logger.debug("heard", extra={"event_id": "a"})
    logger.debug("not heard", extra={"event_id": "a"})
    assert [line.text for line in keeper.of("a")] == ["heard"]
    assert (logger.level, logger.handlers) == before


def test_the_key_for_sending_is_wanted_and_that_of_functions_is_not(root: Path) -> None:
    def key(**environ: str) -> str | None:
        return key_of(load(root, environ=environ))

    assert key() is None
    assert key(AWL_API_KEY="theirs") is None
    assert key(WORKFLOW_API_KEY="ours", AWL_API_KEY="theirs") == "ours"
    (root / ".env").write_text("WORKFLOW_API_KEY=kept\n")
    assert key() == "kept"


def test_without_a_key_everybody_is_let_in() -> None:
    assert Access(lambda: None).admits(None)
    assert not Access(lambda: "k").admits("Bearer")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "250 ms"), (5, "5 s"), (1.5, "1.5 s"), (125, "2 min 5 s"), (93_784, "1 d 2 h")],
)
def test_lengths_are_said_in_words(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


def test_a_workflow_is_described() -> None:
    def handler(input: dict[str, int]) -> None:
        """Do it."""

    described = info_of(
        Workflow(handler, "w", timeout=timedelta(minutes=5), retry=RetryPolicy(8)), "w.py"
    )
    assert (described.doc, described.retries, described.timeout) == ("Do it.", 8, "5 min")
    assert described.backoff == "5 s, 5 s, 20 s, 40 s, 1 min, 1 min 20 s, …"
    assert described.schema is not None
    assert described.takes_input

    def strange(input: object) -> None: ...

    assert info_of(Workflow(lambda: None, "w"), "w.py").schema is None
    odd = info_of(Workflow(strange, "w", retry=RetryPolicy(1, [1])), "w.py")
    assert (odd.retries, odd.backoff) == (1, "1 s")

    def fails(attempt: int) -> float:
        return 3 / (attempt - 2)

    wrong = info_of(Workflow(strange, "w", retry=RetryPolicy(3, fails)), "w.py").backoff
    assert wrong == ("5 s, 5 s, 3 s; its backoff, fails(1), returned -3.0, which is no wait")


def test_settings_that_are_wrong_leave_the_workflows_as_they_were() -> None:
    def fail() -> Any:
        msg = "no such folder"
        raise ConfigError(msg)

    workflows = LiveWorkflows(fail)
    workflows.load()
    assert workflows.failure is not None
    assert workflows.names() == ()


def test_a_definition_that_has_no_file_is_known_and_a_file_goes_before() -> None:
    from kit.project.discovery import Discovery

    by_file = Workflow(lambda: 1, "w")
    workflows = LiveWorkflows(lambda: Discovery(workflows={"w": by_file}, paths={"w": "w.py"}))
    workflows.load()
    workflows.admit(Workflow(lambda: 2, "w"))
    other = Workflow(lambda: 3, "other")
    workflows.admit(other)
    assert workflows.find("W") is by_file
    assert workflows.find("other") is other


@pytest.fixture
async def provider(runs: LocalRuns) -> DevProvider:
    return DevProvider(runs)


async def test_code_of_the_project_starts_and_sees_runs(
    provider: DevProvider, runs: LocalRuns
) -> None:
    from kit import run_workflow, send_events

    before = default.use(default.Default(provider, runs.live))
    try:
        run = await run_workflow("hello", "you", id="k")
        again = await run_workflow("hello", "you", id="k")
        assert (run.existed, again.existed) == (False, True)
        assert await run.result(timeout=50) == "hello you"
        assert (await run.details()).steps == ("greet",)
        nap = await run_workflow("hello", "nap")

        async def sleeps() -> bool:
            return await nap.status() is RunStatus.SLEEPING

        await until(sleeps)
        assert await nap.stop()
        good, bad = await send_events([("hello", 1), ("helo", 2)])
        assert good.ok
        assert "did you mean" in str(bad.error)
        await ended(runs, good.event_id)
    finally:
        default.use(before)
    assert await provider.find(derived_id("nobody")) is None
    with pytest.raises(RunNotFoundError):
        await provider.details(derived_id("nobody"))
    await provider.resume()
    await provider.close()


async def test_an_application_that_does_not_stop_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.dev.lifespan.STOP_SECONDS", 0.01)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.get_running_loop().create_future()

    lifespan = Lifespan(app)
    await lifespan.started()
    await lifespan.stop()


async def test_an_application_without_a_lifespan_needs_none() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError(scope["type"])

    lifespan = Lifespan(app)
    await lifespan.started()
    assert lifespan.state == {}
    await lifespan.stop()
