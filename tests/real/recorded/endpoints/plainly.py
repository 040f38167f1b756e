from kit.sync import get_workflow_run, list_runs, run_workflow


def post():
    run = run_workflow("ten", {"sleep": 600}, id="the same")
    return {"id": run.id, "status": run.status()}


def get(request):
    run = get_workflow_run(request.query_params["id"])
    return {"status": run.status(), "runs": [each.id for each in list_runs(limit=5)]}


def put(request):
    return get_workflow_run(request.query_params["id"]).result(timeout=30)


def delete(request):
    return get_workflow_run(request.query_params["id"]).stop()
