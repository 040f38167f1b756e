from kit import Context, define_workflow, run_workflow


@define_workflow
async def sender(input: dict, context: Context) -> None:
    await context.step.sleep("before", "10 seconds")
    await context.send_event("listener", {"by": "send_event"})
    await run_workflow("listener", {"by": "run_workflow"})
    await context.step.sleep("after", "10 seconds")
