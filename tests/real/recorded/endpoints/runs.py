from kit import get_workflow_run, list_runs, run_workflow


async def post(request):
    run = await run_workflow("ten", await request.json())
    return {"id": run.id, "status": await run.status()}


async def get(request):
    if "id" not in request.query_params:
        return [each.id for each in await list_runs(workflow="ten")]
    run = await get_workflow_run(request.query_params["id"])
    return run and {"status": await run.status(), "steps": (await run.details()).steps}


async def put(request):
    run = await get_workflow_run(request.query_params["id"])
    return await run.result(timeout=30)


async def delete(request):
    run = await get_workflow_run(request.query_params["id"])
    return await run.stop()
