import asyncio

from functions.tally import note

from kit import Context, define_workflow


async def work(name: str) -> str:
    note(name)
    await asyncio.sleep(0.002)
    if name == "bad":
        raise ValueError("as always")
    return name


async def branch(context: Context, name: str) -> str:
    one = await context.step.run(f"{name}1", work, f"{name}1")
    await context.step.sleep(f"{name}-nap", "30 milliseconds")
    return one + await context.step.run(f"{name}2", work, f"{name}2")


@define_workflow
async def journey(input: dict, context: Context) -> dict:
    """Branches, sleeps, a failure that is dealt with, and an event."""
    first = await context.step.run("first", work, "first")
    branches = await asyncio.gather(*(branch(context, name) for name in "ab"))
    try:
        await context.step.run("bad", work, "bad")
    except ValueError as error:
        caught = str(error)
    await context.send_event("heard", {"of": input["name"]})
    await context.step.sleep("nap", "1 minute")
    last = await context.step.run("last", work, "last")
    return {"steps": [first, *branches, last], "caught": caught}
