from functions.tally import note

from kit import PlainContext, define_workflow


@define_workflow
def plain(input: dict, context: PlainContext) -> None:
    note("invoked")
    context.step.run("one", note, "one")
    context.step.sleep("nap", "30 seconds")
    context.step.run("two", note, "two")
    note("ended")
