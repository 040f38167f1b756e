from functions.tally import note

from kit import Context, define_workflow


@define_workflow
async def sequence(input: dict, context: Context) -> None:
    note("invoked")
    await context.step.run("one", note, "one")
    await context.step.sleep("nap", "30 seconds")
    await context.step.run("two", note, "two")
    note("ended")
