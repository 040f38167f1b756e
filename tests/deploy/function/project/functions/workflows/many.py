import os

from functions.tally import note

from kit import Context, define_workflow


@define_workflow(max_retries=1, backoff=["1 second"])
async def many(input: dict, context: Context) -> None:
    if input.get("crash") and context.attempt == 0:
        os._exit(1)
    note(f"{input['number']} in {os.getpid()}")
