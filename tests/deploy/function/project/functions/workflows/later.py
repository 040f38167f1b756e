from functions.tally import note

from kit import RetryAfter, define_workflow


@define_workflow
async def later(input: dict) -> None:
    if note("tried") == 1:
        raise RetryAfter(input["delay"], force=input.get("force", False))
    note("ended")
