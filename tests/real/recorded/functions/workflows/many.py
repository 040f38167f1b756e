from kit import Context, define_workflow


async def work(number: int) -> str:
    return "x" * 500


@define_workflow(background=True)
async def many(input: dict, context: Context) -> int:
    for number in range(input["steps"]):
        await context.step.run(f"s{number}", work, number)
    return input["steps"]
