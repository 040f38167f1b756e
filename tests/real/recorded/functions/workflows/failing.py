from functions.tally import note

from kit import Context, define_workflow


def charge(until: int) -> str:
    if note("tried") <= until:
        raise ValueError("no luck")
    return "charged"


@define_workflow(max_retries=2, backoff=["1 second", "60 seconds"])
def failing(input: dict, context: Context) -> str:
    context.step.run("kept", note, "kept")
    return context.step.run("charge", charge, input["failures"])
