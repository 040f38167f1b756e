import asyncio

from functions.tally import note

from kit import Context, define_workflow

together_now: dict[str, asyncio.Barrier] = {}


async def work(run: str, name: str) -> str:
    note(name)
    await together_now.setdefault(run, asyncio.Barrier(3)).wait()
    return name


@define_workflow
async def together(input: dict, context: Context) -> str:
    names = ("a", "b", "c")
    run = context.event_id
    found = await asyncio.gather(*(context.step.run(each, work, run, each) for each in names))
    return "".join(found)
