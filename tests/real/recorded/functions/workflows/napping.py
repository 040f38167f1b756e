from kit import Context, define_workflow


@define_workflow
async def napping(input: dict, context: Context) -> int:
    """One sleep of minutes after the other."""
    for number in range(input["times"]):
        await context.step.sleep(f"nap-{number}", "10 minutes")
    return input["times"]
