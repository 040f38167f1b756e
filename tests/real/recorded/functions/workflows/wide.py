import asyncio

from kit import Context, define_workflow


async def work(number: int, size: int) -> str:
    await asyncio.sleep(0)
    return f"{number}:" + "x" * size


@define_workflow
async def wide(input: dict, context: Context) -> str:
    """Many steps side by side, a sleep, and all they came to in one text."""
    count, size = input["count"], input["size"]
    steps = (context.step.run(f"s{number}", work, number, size) for number in range(count))
    found = await asyncio.gather(*steps)
    await context.step.sleep("nap", "10 minutes")
    return "|".join(found)
