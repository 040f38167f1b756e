"""A project made by `kit init` with a few functions more, and what is known while it is built."""

from __future__ import annotations

from pathlib import Path

from tests.real import boot

KEY = "rig-key"
BUILD_KEY = "6f2c-the-key-of-the-site-while-it-is-built"
FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": """
from psycopg2.extensions import parse_dsn
from pydantic import BaseModel

class Prices(BaseModel):
    each: list[float]

    @property
    def total(self) -> float:
        # libpq, a C library that its package brings along, reads this
        return sum(float(parse_dsn(f"port={each}")["port"]) for each in self.each)
""",
    "functions/api/publish.py": """
import os, sys

from kit import get_workflow_run, run_workflow

async def post(request):
    run = await run_workflow("publish-draft", {"title": "Ship weekly digest"})
    return {"eventId": run.id, "status": await run.status()}

async def patch(request):
    run = await get_workflow_run(request.query_params["id"])
    result = await run.result(timeout=30) if "wait" in request.query_params else None
    return {"pid": os.getpid(), "status": await run.status(), "result": result}

def get(request):
    if request.query_params.get("crash"):
        os._exit(9)
    return {"pid": os.getpid()}

def put():
    from shop.prices import Prices

    root = os.environ["LAMBDA_TASK_ROOT"]
    return {
        "uid": os.getuid(),
        "prefix": sys.prefix,
        "foreign": [path for path in sys.path if not path.startswith(root)],
        "task": attempt(os.path.join(root, "new")),
        "tmp": attempt("/tmp/new"),
        "total": Prices(each=[1, 2.5]).total,
    }

def attempt(path):
    try:
        with open(path, "w"):
            return "done"
    except OSError as error:
        return type(error).__name__
""",
    "functions/workflows/crashing.py": """
import os

from kit import Context, define_workflow

def note(what, context):
    print("NOTED", what, context.event_id, context.attempt)
    return what

@define_workflow
async def crashing(input: dict, context: Context) -> None:
    await context.step.run("one", note, "one", context)
    if input["crashes"] and context.attempt == 0:
        os._exit(9)
    await context.step.run("two", note, "two", context)
    note("end", context)
""",
}


def lay_out(project: Path) -> Path:
    boot.init(project)
    for path, text in FILES.items():
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(text)
    workflow = project / "functions" / "workflows" / "publish_draft.py"
    text = workflow.read_text().replace("30 seconds", "1 second")
    recorded = text.replace("@define_workflow\n", '@define_workflow(store="blobs")\n')
    assert recorded != text != workflow.read_text()
    workflow.with_name("publish_recorded.py").write_text(recorded)
    settings = project / "pyproject.toml"
    text = settings.read_text()
    settings.write_text(
        text.replace('dependencies = ["', 'dependencies = ["psycopg2-binary", "', 1)
    )
    return project
