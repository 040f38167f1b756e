import asyncio

from functions.tally import note

from kit import Context, define_workflow


def work(name: str) -> None:
    note(name)
    if name == "bad":
        raise ValueError("fails always")


@define_workflow(max_retries=2, backoff=["3 seconds", "9 seconds"])
async def unlucky(input: dict, context: Context) -> None:
    note(f"invoked at {context.attempt}")
    await asyncio.gather(*(context.step.run(each, work, each) for each in ("good", "bad")))
