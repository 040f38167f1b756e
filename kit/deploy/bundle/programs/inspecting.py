"""
Imports every workflow and HTTP module, and prints what is to be known of them as the last line.

What to import comes in as JSON; the folders to import from are the arguments.
"""

import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    """Do what the module says."""
    sys.path += sys.argv[1:]
    wanted = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what files print while they are imported
    workflows, errors = _workflows(Path(wanted["root"]), wanted["folder"])
    errors += _modules(Path(wanted["root"]), wanted["folder"], wanted["modules"])
    out.write("\n" + json.dumps({"workflows": workflows, "errors": errors}) + "\n")
    out.flush()


def _workflows(root: Path, folder: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    from kit.project.catalog import Catalog
    from kit.project.discovery import discover

    found = discover(root / folder, root=root)
    errors = [
        {
            "path": error.path,
            "message": error.message,
            "traceback": getattr(error, "traceback_text", ""),
            "missing": _missing(error),
        }
        for error in (*found.errors, *Catalog(lambda: found).check_annotations())
    ]
    workflows = [
        {
            "name": name,
            "path": found.paths[name],
            "max_retries": workflow.retry.max_retries,
            **_backoff(workflow.retry),
            "background": workflow.background,
            "timeout": _milliseconds(workflow.timeout),
            "store": workflow.store,
        }
        for name, workflow in found.workflows.items()
    ]
    return workflows, errors


def _modules(root: Path, folder: str, modules: Mapping[str, str]) -> list[dict[str, str]]:
    from kit.deploy.function.loading import Loader
    from kit.deploy.function.manifest import Manifest
    from kit.deploy.function.methods import METHODS

    errors = []
    loader = Loader(Manifest(root, root / folder, {}, modules))
    for name, path in modules.items():
        try:
            module = loader.function(name)
        except BaseException as error:  # noqa: BLE001 - also what ends programs
            why = f"{path} cannot be imported: {type(error).__name__}: {error}"
            trace = "".join(traceback.format_exc())
            missing = _missing(error)
            errors.append({"path": path, "message": why, "traceback": trace, "missing": missing})
            continue
        if not any(hasattr(module, each) for each in ("app", *METHODS)):
            why = (
                f"{path} answers nothing: define one of {', '.join(METHODS)}, or `app`,"
                " or begin the file's name with _ if it is no function"
            )
            errors.append({"path": path, "message": why})
    return errors


def _backoff(policy: Any) -> dict[str, Any]:
    if not policy.backoff:
        return {"backoff": None}
    problems: list[str] = []
    waits = [_milliseconds(wait) for wait in policy.schedule(problems.append)]
    return {"backoff": waits, "backoff_problems": problems}


def _milliseconds(span: Any) -> Any:
    return None if span is None else round(span.total_seconds() * 1000)


def _missing(error: BaseException | None) -> str:
    """Return what an import in the chain of *error* has not found: a top module, or one of ours."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    name = (error.name or "") if error is not None else ""
    return name if name.startswith("kit.") else name.split(".")[0]


if __name__ == "__main__":
    main()
