"""Starting workflows and asking after them, as users write it; checked by mypy and pyright."""

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pydantic import BaseModel

from kit import (
    Context,
    Run,
    RunDetails,
    RunStatus,
    Sent,
    Workflow,
    WorkflowRun,
    defer_workflow,
    define_workflow,
    get_workflow_run,
    list_runs,
    list_workflows,
    read_validated_payload,
    run_workflow,
    send_event,
    send_events,
    sync,
)


class Order(BaseModel):
    number: int


async def fetch(number: int, *, retries: int = 3) -> Order:
    return Order(number=number + retries)


def total(order: Order) -> float:
    return float(order.number)


@define_workflow
async def steps_keep_their_types(input: Order, context: Context) -> float:
    assert_type(await context.step.run("fetch", fetch, 1, retries=2), Order)
    assert_type(await context.step.run("total", total, input), float)
    assert_type(await context.step.run("lambda", lambda: 5), int)
    await context.step.sleep("a", "30 seconds")
    await context.step.sleep("b", timedelta(days=1))
    await context.step.sleep("c", datetime(2030, 1, 1, tzinfo=UTC))
    assert_type(await context.send_event("other", {"a": 1}, delay=5), str)
    assert_type(context.attempt, int)
    return 1.0


@define_workflow
def plain_steps_keep_their_types(input: Order, context: sync.Context) -> float:
    assert_type(context.step.run("fetch", fetch, 1), Order)
    return context.step.run("total", total, input)


async def starting() -> None:
    run = await run_workflow("publish-draft", {"title": "x"}, id="k", priority=5)
    assert_type(run, WorkflowRun)
    assert_type(await run.status(), RunStatus)
    assert_type(await run.details(), RunDetails)
    assert_type(await run.stop(), bool)
    assert_type(run.id, str)
    assert_type(await run_workflow(steps_keep_their_types, Order(number=1)), WorkflowRun)
    assert_type(await defer_workflow("x", delay_until=datetime.now(UTC)), WorkflowRun)
    assert_type(await get_workflow_run("x"), WorkflowRun | None)
    kept = await run_workflow("x", id="k", on_conflict="error")
    assert_type(kept.existed, bool | None)
    await run_workflow("x", on_conflict="never")  # type: ignore[arg-type]
    assert_type(await list_runs(workflow="x", status="failed", limit=3), list[Run])
    assert_type(await list_workflows(), list[Workflow[..., Any]])
    assert_type(await send_event("x"), str)
    assert_type(await send_events([("x", 1), {"name": "y", "data": 2}]), list[Sent])
    assert_type(read_validated_payload({}, Order), Order)


def starting_plainly() -> None:
    run = sync.run_workflow("publish-draft", {"title": "x"}, delay="30 seconds")
    assert_type(run, sync.WorkflowRun)
    assert_type(run.status(), RunStatus)
    assert_type(sync.list_runs(status=["failed"]), list[Run])
    assert_type(sync.get_workflow_run("x"), sync.WorkflowRun | None)
    assert_type(sync.send_event("x"), str)
    sync.run_workflow("x", prio=3)  # type: ignore[call-arg]
