import asyncio

import pytest

from kit import define_workflow, sync
from kit.model.run import RunStatus


@pytest.fixture
def project(tmp_path, using):
    (tmp_path / "kit.yaml").write_text("workflow:\n  durability: normal\n")
    with asyncio.Runner() as runner:
        project = using(tmp_path)
        runner.run(project.__aenter__())
        yield tmp_path
        runner.run(project.__aexit__(None, None, None))


@define_workflow
def double(input: int, context: sync.Context) -> int:
    return context.step.run("double", lambda: input * 2)


@define_workflow
def starter(input: int, context: sync.Context) -> list:
    one = sync.run_workflow(double, input)
    two = context.send_event("double", input + 1)
    context.step.sleep("pause", 0)
    return [one.id, two]


def test_a_plain_workflow_is_started_and_awaited_without_await(project):
    run = sync.run_workflow(double, 21)

    assert run.result(50) == 42
    assert run.status() is RunStatus.COMPLETED
    assert run.details().steps == ("double",)
    assert run.stop() is False
    assert run.native.id == run.id
    assert "double" in repr(run)


def test_everything_else_has_its_plain_twin(project):
    run = sync.defer_workflow(double, 1)
    assert run.result(50) == 2
    found = sync.get_workflow_run(run.id)
    assert found is not None
    assert found.name == "double"
    assert sync.get_workflow_run("00000000-0000-4000-8000-000000000000") is None
    assert [each.event_name for each in sync.list_workflows()] == ["double"]
    event_id = sync.send_event("double", 4)
    assert sync.get_workflow_run(event_id).result(50) == 8
    assert [each.ok for each in sync.send_events([("double", 5)])] == [True]


def test_what_a_plain_handler_starts_belongs_to_its_run(project):
    sync.run_workflow(double, 0).result(50)
    one, two = sync.run_workflow(starter, 3).result(50)

    assert sync.get_workflow_run(one).result(50) == 6
    assert sync.get_workflow_run(two).result(50) == 8


def test_blocking_the_loop_of_a_run_is_refused_with_what_to_do_instead(project):
    @define_workflow(max_retries=0)
    async def wrong(input: int):
        sync.run_workflow(double, 1)

    run = sync.run_workflow(wrong, 1)
    with pytest.raises(Exception, match="with await"):
        run.result(50)


async def test_it_works_beside_a_running_loop_as_in_a_notebook(project):
    assert sync.run_workflow(double, 4).result(50) == 8
