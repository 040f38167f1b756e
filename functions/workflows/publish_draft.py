"""The seed document's example: a draft is published after a while. Its event: publish-draft."""

from pydantic import BaseModel

from kit import Context, define_workflow


class Draft(BaseModel):
    """What is to be published."""

    title: str = "Untitled draft"


@define_workflow
async def publish_draft(input: Draft | None, context: Context) -> dict[str, object]:
    """Publish a draft half a minute after its title was kept."""
    title = (input or Draft()).title.strip() or "Untitled draft"
    await context.step.run("persist-title", lambda: title)
    await context.step.sleep("wait-before-publish", "30 seconds")
    return {"provider": context.provider, "eventId": context.event_id, "title": title}
