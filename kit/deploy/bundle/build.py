"""
The order of a build: surroundings, bundle, checks, inspection, entries.

What can be wrong is looked for as early as it can be known. The functions' folder is written last,
when all has been found to be well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import PurePosixPath

from kit.deploy.bundle import app, entries, manifest, ownership
from kit.deploy.bundle.bundling import Bundling, parts_of
from kit.deploy.bundle.checks import binary_problems, size_problems
from kit.deploy.bundle.findings import Finding, raise_errors
from kit.deploy.bundle.inspection import from_json, import_times, inspect, to_json
from kit.deploy.bundle.order import Order
from kit.deploy.bundle.plan import Entry, HttpModule, WorkflowFacts, http_module, plan
from kit.deploy.bundle.report import Report
from kit.deploy.bundle.stage import Done, Facts
from kit.deploy.bundle.surroundings import Surroundings, judge, look
from kit.deploy.bundle.tree import Size, files_in
from kit.model.errors import BuildError


def build(order: Order) -> Report:
    """
    Build the functions of a project and return what came of it.

    Raises:
        BuildError: If what was built could not work once deployed, or cannot be built.
        WorkflowDisabledError: If workflows are switched off.
    """
    began = time.perf_counter()
    _check_machine(order)
    found, modules = look(order.root, order.environ), http_modules(order)
    has_workflows = any(path.endswith(".py") for path in files_in(order.root / order.folder))
    findings = raise_errors(
        [*judge(found, has_workflows=has_workflows), *_secrets(order)], strict=order.check
    )
    if not modules and not has_workflows:
        return Report(changed=_write(order, found, ()), findings=(*findings, _nothing(order)))
    return _bundled(order, found, modules, findings, began)


def clear(order: Order) -> list[str]:
    """Remove the entries of earlier builds: for a project that has switched workflows off."""
    folder = order.root / look(order.root, order.environ).folder
    return [] if order.check else ownership.write_entries(folder, {})


def http_modules(order: Order) -> tuple[HttpModule, ...]:
    """
    Return the project's HTTP modules.

    Raises:
        BuildError: If the name of one gives no URL path.
    """
    folder = order.api_folder
    found = []
    for path in files_in(order.root / folder):
        parts = PurePosixPath(path).parts
        if path.endswith(".py") and not any(part.startswith(("_", ".")) for part in parts):
            found.append(http_module(folder / path, folder))
    return tuple(found)


def _check_machine(order: Order) -> None:
    if order.machine.system == "Windows":
        msg = (
            "Windows does not keep which files can be executed, and the bundle's Python could not"
            " be started: run kit build in WSL, or leave it to Netlify's builder"
        )
        raise BuildError(msg, code="BUILD_NOT_HERE")


def _bundled(
    order: Order,
    found: Surroundings,
    modules: tuple[HttpModule, ...],
    findings: tuple[Finding, ...],
    began: float,
) -> Report:
    bundling = Bundling(order)
    done = bundling.make(has_http=bool(modules))
    parts = parts_of(done)
    findings += raise_errors(_problems(order, done, parts), strict=order.check)
    workflows = _inspected(bundling, done, modules)
    planned = plan(workflows, modules, order.config.get_workflow().bundle)
    _write_manifest(bundling, workflows, modules)
    return Report(
        python=bundling.python.version,
        changed=_write(order, found, planned),
        entries={f"{found.folder}/{entry.file}": entry for entry in planned},
        parts=parts,
        findings=findings,
        times=_times(bundling, workflows) if order.measure else {},
        seconds=time.perf_counter() - began,
    )


def _problems(order: Order, done: Mapping[str, Done], parts: Mapping[str, Size]) -> list[Finding]:
    unfit = {name: each.facts["unfit"] for name, each in done.items()}
    found = []
    if order.use_running:  # asked for explicitly: it may be meant for another place
        for text in binary_problems({"python": unfit.pop("python")}):
            found.append(Finding("warning", "BUILD_BINARY", text))
    found += [Finding("error", "BUILD_BINARY", text) for text in binary_problems(unfit)]
    return found + [Finding("error", "BUILD_TOO_LARGE", text) for text in size_problems(parts)]


def _inspected(
    bundling: Bundling, done: Mapping[str, Done], modules: tuple[HttpModule, ...]
) -> list[WorkflowFacts]:
    """Return what the workflows say of themselves, asking only if the bundle has changed."""
    order = bundling.order
    order.observe("workflows", "")

    def find_out() -> Facts:
        found = inspect(bundling.place(), modules, order.environ)
        return {"workflows": [to_json(each) for each in found]}

    paths = [module.path for module in modules]
    inputs = [each.fingerprint for each in done.values()]
    known = bundling.stages.recall(
        "workflows", [*inputs, order.folder, paths, str(order.machine)], find_out
    )
    workflows = [from_json(each) for each in known.facts["workflows"]]
    where = "" if order.machine.runs_bundle else ", not imported in the bundle: it cannot run here"
    order.observe("workflows", f"{len(workflows)}{where}")
    return workflows


def _write_manifest(
    bundling: Bundling, workflows: list[WorkflowFacts], modules: tuple[HttpModule, ...]
) -> None:
    folder, paths = bundling.order.folder, bundling.import_paths
    text = manifest.manifest_text(workflows, modules, folder=folder, paths=paths)
    stages = bundling.stages
    manifest.write(stages.bundle, text, stages.moment, stages=stages.made)


def _write(order: Order, found: Surroundings, planned: tuple[Entry, ...]) -> tuple[str, ...]:
    folder = order.root / found.folder
    texts = {entry.file: entries.text_of(entry, found.folder) for entry in planned}
    if order.check:
        ownership.check_free(folder, texts)
        return ()
    return tuple(ownership.write_entries(folder, texts))


def _times(bundling: Bundling, workflows: list[WorkflowFacts]) -> dict[str, int]:
    order = bundling.order
    if not order.machine.runs_bundle:
        return {}
    order.observe("import times", "")
    return import_times(bundling.place(), workflows, order.environ)


def _secrets(order: Order) -> list[Finding]:
    sources = app.find_sources(order.root)
    return [
        Finding(
            "warning",
            "BUILD_SECRET_LEFT_OUT",
            f"{path} may hold a secret by its name, and was left out of the bundle. Set secrets in"
            " the site's environment variables",
        )
        for path in sources.secrets
    ]


def _nothing(order: Order) -> Finding:
    return Finding(
        "warning",
        "BUILD_NOTHING",
        f"there is nothing to build: no Python files in {order.folder} or {order.api_folder} of"
        f" {order.root}. Begin with: kit init DIR",
    )
