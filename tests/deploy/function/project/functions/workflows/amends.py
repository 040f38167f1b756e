import asyncio

from functions.tally import note

from kit import Context, define_workflow


def work(name: str, fails: int = 0) -> str:
    if note(name) <= fails:
        raise ValueError(name)
    return name


async def slow() -> None:
    note("slow")
    await asyncio.sleep(3600)


@define_workflow(backoff=["11 seconds"])
async def amends(input: dict, context: Context) -> None:
    step = context.step
    if input["how"] == "dealt with":
        try:
            await step.run("caught", work, "caught", 100)
        except ValueError:
            await step.run("between", work, "between")
        await step.run("last", work, "last", 1)
    elif input["how"] == "compensated":
        try:
            await step.run("charge", work, "charge", 2)
        except ValueError as error:
            await step.run(f"refund-{context.attempt}", work, "refund")
            raise RuntimeError("no money") from error
        await step.run("after", work, "after")
    elif input["how"] == "cut off":
        try:
            async with asyncio.timeout(0.1):
                await step.run("slow", slow)
        except TimeoutError:
            await step.run("fallback", work, "fallback")
        await step.sleep("nap", 11)
    else:
        await beside(context)
    note("ended")


async def beside(context: Context) -> None:
    async def sleeper() -> None:
        await context.step.run("before", work, "before")
        await context.step.sleep("nap", 11)
        await context.step.run("woken", work, "woken")

    flaky = context.step.run("flaky", work, "flaky", 1)
    for found in await asyncio.gather(flaky, sleeper(), return_exceptions=True):
        if isinstance(found, BaseException):
            raise found
