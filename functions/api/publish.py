"""POST /api/publish starts a run of publish-draft."""

from kit import run_workflow


async def post(request: object) -> dict[str, object]:
    """Answer with the run's id; what it does goes on without the caller."""
    run = await run_workflow("publish-draft", {"title": "Ship weekly digest"})
    return {"eventId": run.id, "status": await run.status()}
