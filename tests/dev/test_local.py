"""The runs of a file, seen and asked for, whoever drives them."""

import asyncio
import os
import shutil
from typing import Any

import pytest

from kit.dev.local import LocalRuns
from kit.dev.project import DevProject
from kit.dev.runs import Change
from kit.model.errors import (
    PayloadError,
    RunNotFoundError,
    StoreError,
    WorkflowNotFoundError,
)
from kit.model.event import derived_id
from kit.model.run import RunStatus

from .conftest import Write, ended, until

NOBODY = derived_id("nobody")


async def test_a_run_is_started_and_shown_with_its_steps_and_log(runs: LocalRuns) -> None:
    run_id = await runs.start("HELLO", "you")
    await ended(runs, run_id)

    details = await runs.details(run_id)
    assert details is not None
    assert (details.run.workflow, details.status) == ("hello", RunStatus.COMPLETED)
    assert details.steps == ("greet",)
    assert details.begun == ()
    assert [(line.level, line.text) for line in details.logs] == [("INFO", "greeting you")]


async def test_a_key_starts_one_run(runs: LocalRuns) -> None:
    first = await runs.start("hello", 1, id="order-7")
    assert await runs.start("hello", 2, id="order-7") == first
    assert first == derived_id("run", "hello", "order-7")
    [listed] = (await runs.page()).runs
    assert (listed.key, listed.preview) == ("order-7", "1")


async def test_what_cannot_be_started_says_why(runs: LocalRuns) -> None:
    with pytest.raises(WorkflowNotFoundError, match="did you mean 'hello'"):
        await runs.start("helo")
    with pytest.raises(PayloadError):
        await runs.start("hello", 2**60)


async def test_pages_follow_each_other_newest_first(runs: LocalRuns) -> None:
    started = [await runs.start("hello", number) for number in range(7)]
    seen: list[str] = []
    cursor = None
    for size in (3, 3, 1):
        page = await runs.page(cursor=cursor, limit=3)
        assert (len(page.runs), page.total) == (size, 7)
        seen += [run.id for run in page.runs]
        cursor = page.cursor
    assert cursor is None
    assert set(seen) == set(started)
    created = [run.created for run in (await runs.page()).runs]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize("cursor", ["", "x", "1", "x.y", "-1.a", "9" * 20 + ".a"])
async def test_a_cursor_that_no_page_gave_is_refused(runs: LocalRuns, cursor: str) -> None:
    with pytest.raises(ValueError, match="is no cursor"):
        await runs.page(cursor=cursor)


async def test_runs_are_found_by_workflow_status_and_text(runs: LocalRuns) -> None:
    good = await runs.start("hello", "Zoë 100%_")
    bad = await runs.start("hello", "fail")
    for run_id in (good, bad):
        await ended(runs, run_id)

    async def found(**wanted: Any) -> set[str]:
        return {run.id for run in (await runs.page(**wanted)).runs}

    assert await found(statuses=[RunStatus.FAILED]) == {bad}
    assert await found(workflow="Hello") == {good, bad}
    assert await found(workflow="other") == set()
    for text in ("Zoë", "zo", "100%_", good[:8]):
        assert await found(text=text) == {good}
    assert await found(text="no more") == {bad}
    assert await found(text="100%__") == set()
    [listed] = (await runs.page(statuses=[RunStatus.FAILED])).runs
    assert listed.error == "ValueError: no more"


async def test_a_list_shows_the_beginning_of_large_data_only(runs: LocalRuns) -> None:
    run_id = await runs.start("hello", "x" * 1_000_000)
    await ended(runs, run_id)
    [listed] = (await runs.page()).runs
    assert listed.preview == '"' + "x" * 199


async def test_a_sleeping_run_is_stopped_and_then_deleted(runs: LocalRuns) -> None:
    run_id = await runs.start("hello", "nap")

    async def sleeps() -> bool:
        [listed] = (await runs.page()).runs
        return listed.status is RunStatus.SLEEPING

    await until(sleeps)
    assert not await runs.delete(run_id)
    assert await runs.stop(run_id)
    assert not await runs.stop(run_id)
    assert await runs.delete(run_id)
    assert await runs.details(run_id) is None


async def test_an_ended_run_is_tried_again(runs: LocalRuns) -> None:
    run_id = await runs.start("hello", "fail")
    await ended(runs, run_id)
    assert await runs.retry(run_id)
    await ended(runs, run_id)
    assert await runs.retry(run_id, from_start=True)
    await ended(runs, run_id)
    details = await runs.details(run_id)
    assert details is not None
    assert len(details.attempts) == 3


@pytest.mark.parametrize("what", ["stop", "retry", "delete"])
async def test_what_is_asked_of_no_run_says_so(runs: LocalRuns, what: str) -> None:
    with pytest.raises(RunNotFoundError, match="no run"):
        await getattr(runs, what)(NOBODY)


async def test_changes_name_the_runs_they_are_about(runs: LocalRuns) -> None:
    changes = runs.changes()
    run_id = await runs.start("hello", "you")
    await ended(runs, run_id)
    assert await anext(changes) == Change(frozenset({run_id}))
    await runs.reloaded()
    assert (await anext(changes)).workflows


async def test_a_step_under_way_is_shown(
    write: Write, project: DevProject, runs: LocalRuns
) -> None:
    write(
        "functions/workflows/slow.py",
        "import asyncio\nfrom kit import define_workflow\n\n@define_workflow\n"
        "async def slow(input, context):\n"
        "    await context.step.run('wait', asyncio.sleep, 60)\n",
    )
    await project.load()
    run_id = await runs.start("slow")

    async def begun() -> list[str]:
        details = await runs.details(run_id)
        return [step.step_id for step in details.begun] if details else []

    assert await until(begun) == ["wait"]


async def test_where_another_process_drives_it_is_asked_and_followed(
    runs: LocalRuns, project: DevProject
) -> None:
    run_id = await runs.start("hello", "nap")
    config = project.config
    async with LocalRuns(config.path, project.workflows, config.get_workflow()) as second:
        assert second.source.driver == os.getpid()
        assert not second.capabilities.logs
        assert (await second.page()).runs[0].id == run_id
        changes = second.changes()
        assert await second.stop(run_id)

        async def is_stopped() -> bool:
            details = await second.details(run_id)
            return details is not None and details.status is RunStatus.CANCELLED

        await until(is_stopped)
        async with asyncio.timeout(50):
            while not (await anext(changes)).is_everything:
                pass  # both are in one process here, so it hears the other's log
        asked = await second.start("hello", "you")
        await ended(second, asked)
        details = await runs.details(asked)
        assert details is not None
        assert details.logs != ()
        await runs.driving.__aexit__(None, None, None)
        await until(lambda: second.source.driver is None)
        await ended(second, await second.start("hello"))


async def test_a_file_that_is_deleted_makes_room_for_a_new_one(
    runs: LocalRuns, project: DevProject, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.dev.local.WATCH_SECONDS", 0.01)
    gone = await runs.start("hello", "nap")
    before = runs.driving
    shutil.rmtree(project.config.path.parent)
    await until(lambda: runs.driving is not before and runs.source.trouble is None)
    await ended(runs, await runs.start("hello", "you"))

    assert await runs.details(gone) is None
    assert len((await runs.page()).runs) == 1
    assert any("was deleted or replaced" in text for text in told)


async def test_a_file_that_cannot_be_opened_is_tried_until_it_can(
    runs: LocalRuns, project: DevProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.dev.local.WATCH_SECONDS", 0.01)
    file = project.root / "other.db"
    file.write_text("this is no run file, and long enough to be seen not to be one" * 9)
    with pytest.raises(StoreError):
        await runs.move(file, project.config.get_workflow())
    assert "not a SQLite file" in str(runs.source.trouble)
    with pytest.raises(StoreError):
        await runs.start("hello", "you")
    file.unlink()
    await until(lambda: runs.source.trouble is None)

    await ended(runs, await runs.start("hello", "you"))


async def test_trouble_with_storing_is_told_of_and_shown_until_it_is_over(
    runs: LocalRuns, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.dev.local.WATCH_SECONDS", 0.01)
    changes = runs.changes()
    waiting = runs.driving._engine._waiting
    waiting.fail(StoreError("the disk is full", path="x", code="ENGINE_CLOSED"))  # not tried again
    while not (await anext(changes)).source:
        pass
    assert runs.source.trouble == "the disk is full"
    assert told == ["error: the disk is full"]
    waiting.failure = None
    await until(lambda: "can be used again" in told[-1])
    assert runs.source.trouble is None


async def test_another_file_is_taken_when_settings_change(
    runs: LocalRuns, project: DevProject
) -> None:
    await runs.start("hello", "nap")
    settings = project.config.get_workflow()
    await runs.move(project.root / "other.db", settings)
    assert (await runs.page()).runs == ()
    assert runs.source.place.endswith("other.db")
    await ended(runs, await runs.start("hello", "you"))
