"""
What the bundle's workflows say of themselves, asked of the bundle's own interpreter.

So nothing of the project need be installed where it is built, and what would fail in a function,
a missing package, a library that cannot be loaded, fails here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from kit.deploy.bundle.bytecode import clean
from kit.deploy.bundle.plan import HttpModule, WorkflowFacts
from kit.model.errors import BuildError
from kit.project.hosting import KIT_ENTRY

_SECONDS = 120
_STARTS = 3


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """
    Where to import from: the interpreter, folders before the project's own, the project.

    `is_bundle` is false where the bundle cannot run, and this machine's Python stands in.
    """

    python: Path
    paths: tuple[Path, ...]
    root: Path
    folder: str
    is_bundle: bool = True


def inspect(
    environment: PythonEnvironment, modules: Iterable[HttpModule], environ: Mapping[str, str]
) -> list[WorkflowFacts]:
    """
    Import every workflow and HTTP module, and return what there is to know of the workflows.

    Raises:
        BuildError: If one of them cannot be imported there, or a file is wrong: all that are.
    """
    wanted = {
        "root": str(environment.root),
        "folder": environment.folder,
        "modules": {module.name: module.path for module in modules},
    }
    found = _ask(environment, "inspecting.py", wanted, environ)
    if found["errors"]:
        raise _failure(found["errors"], environment)
    return [WorkflowFacts(**_from_json(each)) for each in found["workflows"]]


def import_times(
    environment: PythonEnvironment, workflows: Iterable[WorkflowFacts], environ: Mapping[str, str]
) -> dict[str, int]:
    """Return how many ms each workflow takes to be imported by a new process, the kit included."""
    times = {}
    for workflow in workflows:
        wanted = {
            "root": str(environment.root),
            "folder": environment.folder,
            "file": workflow.path,
        }
        tries = [_ask(environment, "timing.py", wanted, environ)["ms"] for _ in range(_STARTS)]
        times[workflow.name] = round(min(tries))
    return times


def to_json(workflow: WorkflowFacts) -> dict[str, Any]:
    """Return *workflow* as JSON."""
    return asdict(workflow)


def from_json(data: Mapping[str, Any]) -> WorkflowFacts:
    """Return the workflow that `to_json` made *data* of."""
    return WorkflowFacts(**_from_json(data))


def _from_json(data: Mapping[str, Any]) -> dict[str, Any]:
    backoff, problems = data["backoff"], data.get("backoff_problems", ())
    return {
        **data,
        "backoff": None if backoff is None else tuple(backoff),
        "backoff_problems": tuple(problems),
    }


def _ask(
    environment: PythonEnvironment,
    program: str,
    wanted: Mapping[str, Any],
    environ: Mapping[str, str],
) -> dict[str, Any]:
    source = files("kit.deploy.bundle").joinpath("programs", program).read_text(encoding="utf-8")
    # in the bundle, as functions start it; else with all that is installed here
    flags = ["-s", "-P"] if environment.is_bundle else ["-P"]
    command = [str(environment.python), *flags, "-B", "-c", source, *map(str, environment.paths)]
    try:
        done = subprocess.run(  # noqa: S603 - the bundle's interpreter, our own program
            command,
            input=json.dumps(wanted),
            cwd=environment.root,
            env={**(clean(environ) if environment.is_bundle else environ), KIT_ENTRY: "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = (
            f"the workflows were not imported within {_SECONDS} s: a file waits for something while"
            " it is imported. Move that into the handler"
        )
        raise BuildError(msg, code="BUILD_IMPORT_FAILED") from error
    return _answer(done, environment)


def _answer(
    done: subprocess.CompletedProcess[str], environment: PythonEnvironment
) -> dict[str, Any]:
    try:
        found = json.loads(done.stdout.rsplit("\n", 2)[-2])
    except (IndexError, ValueError):
        said = "\n".join(done.stderr.strip().splitlines()[-15:])
        msg = (
            f"{environment.python.name} of the bundle ended with status {done.returncode} while it"
            f" imported the workflows:\n{said}"
        )
        raise BuildError(msg, code="BUILD_IMPORT_FAILED") from None
    return dict(found)


def _failure(errors: Sequence[Mapping[str, str]], environment: PythonEnvironment) -> BuildError:
    where = "in the bundle's own interpreter" if environment.is_bundle else f"in {sys.executable}"
    lines = []
    for error in errors:
        trace = error.get("traceback", "").rstrip()
        lines += [trace] * bool(trace) + [error["message"]]
    missing = sorted({error["missing"] for error in errors if error.get("missing")})
    if missing:
        lines.append(_advice(missing, environment))
    head = f"{len(errors)} file{'s' * (len(errors) > 1)} cannot be used {where}:"
    return BuildError(
        "\n".join([head, *lines]),
        code="BUILD_IMPORT_FAILED",
        details={"paths": sorted(error["path"] for error in errors)},
    )


def _advice(missing: Sequence[str], environment: PythonEnvironment) -> str:
    own = [name for name in missing if name.startswith("kit.")]
    if own:
        return (
            f"{', '.join(own)} is for development, and no part of a function: import it in tests"
            " and tools only"
        )
    names = ", ".join(missing)
    if not environment.is_bundle:
        return f"Install {names} here, too: on this machine only its own Python can import them"
    return (
        f"{names}: put the package that has it into [project] dependencies of pyproject.toml or"
        " into requirements.txt; a module of your own must lie below the project's folder"
    )
