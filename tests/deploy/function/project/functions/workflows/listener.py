from functions.tally import note

from kit import define_workflow


@define_workflow
async def listener(input: dict) -> None:
    note(f"heard {input['by']}")
