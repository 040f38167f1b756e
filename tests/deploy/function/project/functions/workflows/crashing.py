# ruff: noqa: T201
import ctypes
import os

from functions.tally import note

from kit import Context, define_workflow


def crash(how: str) -> None:
    if note("crashed") == 1:
        print("about to crash")
        if how == "exit":
            os._exit(3)
        ctypes.string_at(0)


@define_workflow(backoff=["5 seconds"])
async def crashing(input: dict, context: Context) -> None:
    await context.step.run("kept", note, "kept")
    await context.step.run("crash", crash, input["how"])
    note("ended")
