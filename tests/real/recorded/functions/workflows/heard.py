from functions.tally import note

from kit import define_workflow


@define_workflow
def heard(input: dict) -> None:
    note(f"heard {input['of']}")
