"""Starts workflows, at once and deferred."""

from functions.tally import note
from starlette.requests import Request

from kit import defer_workflow, run_workflow


async def post(request: Request) -> dict[str, str]:
    run = await run_workflow("quick", {"by": "run"})
    return {"id": run.id, "status": await run.status()}


async def put(request: Request) -> None:
    await defer_workflow("quick", {"by": "defer"})
    note("answered")
