import asyncio
import time

from functions.tally import note

from kit import Context, define_workflow


@define_workflow(max_retries=1, backoff=["5 seconds"])
async def stubborn(input: dict, context: Context) -> None:
    if note(input["how"]) > 1:
        return
    if input["how"] == "waits":
        await asyncio.sleep(60)
    elif input["how"] == "blocks":
        time.sleep(60)
    else:
        await context.step.run("thread", lambda: time.sleep(60))
