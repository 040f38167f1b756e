import math

from functions.tally import note

from kit import Context, define_workflow

VALUES = {
    "huge": 2**80,
    "float": 1.0,
    "minus-zero": -0.0,
    "nested": {"10": [1, {"2": None}], "1": [True, 1.5e300], "a": {"b": {"c": [[]]}}},
    "unicode": 'é 日本 🎉 \u2028 " \\ \ud800 \x00',
    "long": "x" * 100_000,
    "none": None,
}


@define_workflow
async def exact(input: dict, context: Context) -> None:
    for name, value in VALUES.items():
        got = await context.step.run(name, lambda value=value: value)
        same = repr(got) == repr(value) and type(got) is type(value)
        if not same:
            note(f"{name} came back as {got!r:.100}")
    zero = await context.step.run("minus-zero-again", lambda: -0.0)
    note(f"ended {math.copysign(1, zero)}")
