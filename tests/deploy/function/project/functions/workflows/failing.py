# ruff: noqa: T201
from functions.tally import note

from kit import Context, define_workflow


def fail() -> None:
    note("tried")
    raise RuntimeError("no luck")


@define_workflow(max_retries=2, backoff=["3 seconds", "9 seconds"])
async def failing(input: dict, context: Context) -> None:
    await context.step.run("kept", note, "kept")
    print(f"attempt {context.attempt} of {context.event_id}")
    await context.step.run("bad", fail)
