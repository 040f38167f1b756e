import asyncio

from functions.tally import note

from kit import Context, define_workflow


@define_workflow
async def parallel(input: dict, context: Context) -> None:
    note("invoked")
    steps = ("a", "b", "c")
    async with asyncio.TaskGroup() as group:
        for each in steps:
            group.create_task(context.step.run(each, note, each))
    await context.step.run("after", note, "after")
    note("ended")
