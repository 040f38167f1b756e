import asyncio

from functions.tally import note

from kit import Context, define_workflow


def work(name: str) -> None:
    if note(name) == 1 and name == "bad":
        raise ValueError("fails once")


@define_workflow(backoff=["11 seconds"])
async def siblings(input: dict, context: Context) -> None:
    note(f"invoked at {context.attempt}")
    names = ("good", "better", "bad")
    await asyncio.gather(*(context.step.run(each, work, each) for each in names))
    note("ended")
