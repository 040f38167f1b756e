import asyncio

from functions.tally import note

from kit import Context, define_workflow


async def work(name: str) -> None:
    note(name)
    await asyncio.sleep(2)
    note(f"{name} ended")


@define_workflow
async def slow(input: dict, context: Context) -> str:
    """Twelve seconds, in steps of two."""
    for name in "abcdef":
        await context.step.run(name, work, name)
    return "done"
