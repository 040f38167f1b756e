import asyncio
from datetime import timedelta

from functions.tally import note

from kit import Context, define_workflow


async def work(number: int, pause: float) -> int:
    note(f"s{number}")
    await asyncio.sleep(pause)
    return number


@define_workflow
async def ten(input: dict, context: Context) -> dict:
    note("invoked")
    pause = input.get("pause", 0.001)
    total = 0
    for number in range(10):
        if number == 5 and input.get("sleep"):
            await context.step.sleep("nap", timedelta(seconds=input["sleep"]))
        total += await context.step.run(f"s{number}", work, number, pause)
    return {"total": total}
