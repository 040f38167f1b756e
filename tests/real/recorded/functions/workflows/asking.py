from kit import Context, define_workflow, get_workflow_run, list_runs, run_workflow


async def begin(context: Context) -> dict:
    run = await run_workflow("ten", {"sleep": 60}, id=context.event_id)
    return {"id": run.id, "status": await run.status()}


async def look(run_id: str) -> dict:
    run = await get_workflow_run(run_id)
    if run is None:
        return {"status": None}
    return {"status": await run.status(), "steps": (await run.details()).steps}


async def end(run_id: str) -> dict:
    run = await get_workflow_run(run_id)
    listed = await list_runs(workflow="ten", status="sleeping")
    return {"listed": [each.id for each in listed], "stopped": await run.stop()}


@define_workflow
async def asking(input: dict, context: Context) -> dict:
    """Begins another run, looks at it, and stops it, in steps."""
    begun = await context.step.run("begin", begin, context)
    looked: dict = {"status": None}
    number = 0
    while looked["status"] != "sleeping":
        await context.step.sleep(f"nap-{number}", "200 milliseconds")
        looked = await context.step.run(f"look-{number}", look, begun["id"])
        number += 1
    return {"begun": begun, "looked": looked, **await context.step.run("end", end, begun["id"])}
