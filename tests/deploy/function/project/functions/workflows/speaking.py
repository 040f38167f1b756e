# ruff: noqa: T201
import asyncio
import logging
import os
import sys

from kit import Context, define_workflow


def speak_in_thread() -> None:
    print("from a thread")


@define_workflow(max_retries=0)
async def speaking(input: dict, context: Context) -> None:
    print("first")
    sys.stderr.write("second\n")
    logging.getLogger("shop").warning("third %s", "with a value")
    context.logger.info("fourth")
    await asyncio.to_thread(speak_in_thread)
    os.write(1, b"from below\n")
    print("an end without a line end", end="")
    raise KeyError("the last word")
