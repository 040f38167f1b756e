import asyncio
import time

from functions.tally import note

from kit import Context, define_workflow


async def waits() -> None:
    note("began")
    await asyncio.sleep(20)
    note("ended")


def blocks() -> None:
    note("began")
    time.sleep(4)
    note("ended")


async def handler(input: dict, context: Context) -> str:
    if input["how"] == "sleeps":
        await context.step.sleep("day", "1 day")
    await context.step.run("long", waits if input["how"] == "waits" else blocks)
    await context.step.run("next", note, "next")
    return "done"


long = define_workflow(handler, name="long")
