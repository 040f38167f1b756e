from functions.tally import note

from kit import DoNotRetry, define_workflow


@define_workflow
async def final() -> None:
    note("tried")
    raise DoNotRetry("there is no use")
