from functions.tally import note

from kit import Context, define_workflow


def work(number: int) -> None:
    if note(f"step-{number}") == 1 and number == 7:
        raise OSError("the seventh fails once")


@define_workflow(checkpoints="gather", backoff=["7 seconds"])
async def gathered(input: dict, context: Context) -> None:
    note(f"invoked at {context.attempt}")
    for number in range(1, 11):
        fails = number == 7 and input.get("fails")
        await context.step.run(f"step-{number}", work if fails else note_of, number)
    note("ended")


def note_of(number: int) -> None:
    note(f"step-{number}")
