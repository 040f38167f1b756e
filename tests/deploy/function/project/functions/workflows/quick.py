from functions.tally import note

from kit import Context, define_workflow


@define_workflow
async def quick(input: dict, context: Context) -> None:
    note(f"{context.provider} {context.event_name}")
