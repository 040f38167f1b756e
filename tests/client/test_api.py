import asyncio
import logging

import pytest

import kit
from kit import (
    Context,
    NotSupportedError,
    PayloadError,
    RunCancelled,
    RunFailed,
    RunStatus,
    RunTimedOut,
    WorkflowDisabledError,
    WorkflowNotFoundError,
    defer_workflow,
    define_workflow,
    get_workflow_run,
    list_runs,
    list_workflows,
    run_workflow,
    send_event,
    send_events,
)
from kit.client import background
from kit.client.default import default, use
from kit.model.run import RunDetails

from .conftest import echo


@define_workflow
async def nap(input: float, context: Context):
    await context.step.sleep("nap", input)
    return "rested"


@define_workflow(max_retries=0)
async def broken(input: dict, context: Context):
    await context.step.run("charge", lambda: 1 / 0)


@define_workflow(timeout=0.05)
async def slow(input: dict, context: Context):
    await asyncio.sleep(30)


async def test_a_workflow_is_run_by_the_name_of_its_file(project):
    run = await run_workflow("shout-it", "hello")

    assert await run.result(50) == "HELLO"
    assert await run.status() is RunStatus.COMPLETED
    assert run.provider == "local"
    assert run.native.id == run.id
    assert run.id in repr(run)


async def test_a_workflow_can_start_itself(project):
    run = await echo.start({"a": 1})

    assert await run.result(50) == {"data": {"a": 1}, "provider": "local", "id": run.id}


async def test_one_key_starts_a_workflow_once(project):
    first = await run_workflow(echo, {"n": 1}, id="order-7")
    again = await run_workflow(echo, {"n": 2}, id="order-7")

    assert again.id == first.id
    assert (await again.result(50))["data"] == {"n": 1}


async def test_a_handle_tells_whether_its_id_had_started_the_run_before(project, caplog):
    first = await run_workflow(echo, {"n": 1}, id="order-8")
    again = await run_workflow(echo, {"n": 1.0}, id="order-8", on_conflict="error")
    deferred = await defer_workflow(echo, {"n": 1}, id="order-8")
    assert deferred.existed is None
    await deferred.status()

    assert (first.existed, again.existed, deferred.existed) == (False, True, True)
    assert (await run_workflow(echo, {"n": 1})).existed is False
    assert caplog.text == ""


async def test_the_same_id_with_other_data_is_logged_or_refused(project, caplog):
    run = await run_workflow(echo, {"n": 1}, id="order-9")
    again = await run_workflow(echo, {"n": 2}, id="order-9")

    assert again.existed is True
    said = f"run {run.id} of 'echo' was started before, with the same id and other data"
    assert said in caplog.text
    with pytest.raises(kit.RunExistsError, match="give this start an id of its own") as caught:
        await echo.start({"n": 2}, id="order-9", on_conflict="error")
    assert (caught.value.run_id, caught.value.http_status) == (run.id, 409)
    with pytest.raises(ValueError, match='"keep" or "error", not \'never\''):
        await run_workflow(echo, {}, on_conflict="never")


async def test_an_unknown_name_lists_the_known_ones_and_the_nearest(project):
    with pytest.raises(WorkflowNotFoundError, match="shout-it") as caught:
        await run_workflow("shout-out")
    assert caught.value.http_status == 404
    assert "shout-it" in caught.value.known


async def test_invalid_input_is_refused_before_anything_is_stored(project):
    with pytest.raises(PayloadError, match="valid string"):
        await run_workflow("shout-it", 5)
    assert not (project / ".kit" / "runs.db").exists()


async def test_a_delayed_run_is_queued_until_its_time(project):
    run = await run_workflow(echo, {}, delay="1 hour", priority=7)

    assert await run.status() is RunStatus.QUEUED
    details = await run.details()
    assert isinstance(details, RunDetails)
    assert details.run.due - details.run.created == pytest.approx(3_600_000, abs=60_000)
    assert details.run.priority == 7


async def test_a_run_whose_end_was_not_heard_of_in_time_still_gives_its_result(
    project, monkeypatch
):
    done, failed = await run_workflow(echo, {"n": 1}), await run_workflow(broken, {})
    await done.result()
    with pytest.raises(RunFailed):
        await failed.result()

    async def deaf(run_id):
        await asyncio.Event().wait()

    monkeypatch.setattr(default().provider, "wait", deaf)
    assert (await done.result(0))["data"] == {"n": 1}
    with pytest.raises(RunFailed, match=failed.id):
        await failed.result(0)


async def test_a_sleeping_run_can_be_stopped(project):
    run = await run_workflow(nap, 3600)
    while await run.status() is not RunStatus.SLEEPING:
        await asyncio.sleep(0)

    with pytest.raises(TimeoutError) as caught:
        await run.result(0.01)
    said = f"run {run.id} of 'nap' has not ended after 0.01 s: it is sleeping until 20"
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("and this process drives it")
    assert await run.stop() is True
    assert await run.stop() is False
    with pytest.raises(RunCancelled, match=run.id):
        await run.result(50)


async def test_the_result_of_a_dead_letter_is_its_error(project):
    run = await run_workflow(broken, {})

    with pytest.raises(RunFailed, match="step 'charge': ZeroDivisionError") as caught:
        await run.result(50)
    assert caught.value.error["type"] == "ZeroDivisionError"
    assert "lambda: 1 / 0" in caught.value.error["traceback"]
    assert (await run.details()).status is RunStatus.FAILED


async def test_the_result_of_a_run_that_took_too_long_says_so(project):
    run = await run_workflow(slow, {})

    with pytest.raises(RunTimedOut, match="slow"):
        await run.result(50)


async def test_a_run_is_found_by_its_id(project):
    run = await run_workflow(echo, {})
    found = await get_workflow_run(run.id)

    assert found is not None
    assert found.name == "echo"
    assert await found.result(50) == await run.result(50)
    assert await get_workflow_run("00000000-0000-4000-8000-000000000000") is None


async def test_runs_are_listed_newest_first_by_workflow_and_status(project):
    done = [await run_workflow(echo, {"n": number}) for number in range(3)]
    for each in done:
        await each.result(50)
    other = await run_workflow("shout-it", "x")
    await other.result(50)

    assert {run.id for run in await list_runs()} == {each.id for each in (*done, other)}
    assert {run.id for run in await list_runs(workflow=echo)} == {each.id for each in done}
    assert [run.workflow for run in await list_runs(workflow="Shout-It", limit=1)] == ["shout-it"]
    assert len(await list_runs(status="completed", limit=2)) == 2
    assert await list_runs(status=["failed", "running"]) == []


async def test_workflows_are_listed_by_name(project):
    await run_workflow(echo, {})

    assert [each.event_name for each in await list_workflows()] == ["echo", "shout-it"]


async def test_a_deferred_start_returns_at_once_and_goes_through(project):
    run = await defer_workflow(echo, {"a": 1})

    assert (await run.result(50))["data"] == {"a": 1}
    assert run.native.id == run.id


async def test_a_deferred_start_that_fails_is_logged_and_raised_when_asked(project, caplog):
    (project / ".kit").mkdir()
    (project / ".kit" / "runs.db").write_text("this is not a database, and never was one" * 50)
    with caplog.at_level(logging.ERROR, logger="kit"):
        run = await defer_workflow(echo, {"a": 1})
        with pytest.raises(kit.StoreError, match="not a SQLite file"):
            await run.status()
    assert "a deferred event was not sent" in caplog.text


async def test_an_event_starts_the_workflow_of_its_name(project):
    event_id = await send_event("shout-it", "x", id="key")

    assert await (await get_workflow_run(event_id)).result(50) == "X"


async def test_of_several_events_each_goes_or_says_why_not(project):
    default().catalog.admit(echo)
    sent = await send_events(
        [
            ("echo", {"a": 1}),
            ("nobody", 1),
            {"name": "echo", "data": 2**60},
            {"name": "echo", "data": {}, "delay": "2 potatoes"},
            {"name": "echo", "data": {}, "size": 3},
            {"name": "echo", "data": {"b": 2}, "id": "k"},
        ]
    )

    assert [each.ok for each in sent] == [True, False, False, False, False, True]
    assert isinstance(sent[1].error, WorkflowNotFoundError)
    assert isinstance(sent[2].error, PayloadError)
    assert "potatoes" in str(sent[3].error)
    assert "'size'" in str(sent[4].error)
    run = await get_workflow_run(sent[5].event_id)
    assert (await run.result(50))["data"] == {"b": 2}


async def test_switched_off_workflows_raise_wherever_they_are_used(tmp_path, monkeypatch):
    (tmp_path / "kit.yaml").write_text("workflow: false\n")
    monkeypatch.chdir(tmp_path)
    use(None)
    with pytest.raises(WorkflowDisabledError):
        await run_workflow("anything")


def test_a_capability_a_provider_lacks_has_a_code_of_its_own():
    error = NotSupportedError("stop", "netlify", "Set store: blobs.")
    assert error.code == "NOT_SUPPORTED_STOP"
    assert error.to_json()["error"]["provider"] == "netlify"


async def test_a_background_loop_awaits_from_its_own_thread_too():
    async def inner():
        return 1

    async def outer():
        return await background.run(inner())

    assert await background.run(outer()) == 1
