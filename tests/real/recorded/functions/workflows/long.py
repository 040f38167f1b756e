import asyncio
import time

from functions.tally import note

from kit import Context, define_workflow


async def waits(run: str) -> None:
    note(f"{run} began")
    await asyncio.sleep(20)
    note(f"{run} ended")


def blocks(run: str) -> None:
    note(f"{run} began")
    time.sleep(6)
    note(f"{run} ended")


async def handler(input: dict, context: Context) -> str:
    if input["how"] == "sleeps":
        await context.step.sleep("day", "1 day")
    run = context.event_id
    await context.step.run("long", waits if input["how"] == "waits" else blocks, run)
    await context.step.run("next", note, f"{run} next")
    return "done"


long = define_workflow(handler, name="long")
