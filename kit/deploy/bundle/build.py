"""
The order of a build: surroundings, bundle, checks, inspection, entries.

What can be wrong is looked for as early as it can be known. The functions' folder is written last,
when all has been found to be well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from kit.deploy.bundle import entries, manifest, ownership
from kit.deploy.bundle.alone import alone
from kit.deploy.bundle.app import Sources, find_sources
from kit.deploy.bundle.bundling import KIT_FOLDER, Bundler, parts_of
from kit.deploy.bundle.checks import binary_problems, size_problems
from kit.deploy.bundle.findings import Finding, judge_backoffs, judge_sources, raise_errors
from kit.deploy.bundle.inspection import from_json, import_times, inspect, to_json
from kit.deploy.bundle.names import judge_names
from kit.deploy.bundle.options import BuildOptions
from kit.deploy.bundle.plan import Entry, HttpModule, WorkflowFacts, http_module, plan
from kit.deploy.bundle.prerequisites import Prerequisites, judge, look
from kit.deploy.bundle.report import Report
from kit.deploy.bundle.stage import Facts, StageResult
from kit.deploy.bundle.tree import Size, files_in
from kit.model.duration import parse_duration, to_milliseconds
from kit.model.errors import BuildError
from kit.project.discovery import workflow_files


def build(options: BuildOptions) -> Report:
    """
    Build the functions of a project and return what came of it.

    Raises:
        BuildError: If what was built could not work once deployed, or cannot be built; or if
            another process is building the same project.
        WorkflowDisabledError: If workflows are switched off.
    """
    _check_machine(options)
    with alone(options.root / KIT_FOLDER):
        return _built(options)


def _built(options: BuildOptions) -> Report:
    began = time.perf_counter()
    found, modules = look(options.root, options.environ), http_modules(options)
    has_workflows = any(path.endswith(".py") for path in files_in(options.root / options.folder))
    sources = _sources(options)
    wrong = [
        *judge(found, has_workflows=has_workflows),
        *judge_sources(sources),
        *judge_names(options.root, options.folder),
    ]
    findings = raise_errors(wrong, strict=options.check)
    if not modules and not has_workflows:
        return Report(changed=_write(options, found, ()), findings=(*findings, _nothing(options)))
    return _bundled(Bundler(options, sources), found, modules, findings, began)


def clear(options: BuildOptions) -> list[str]:
    """Remove the entries of earlier builds: for a project that has switched workflows off."""
    folder = options.root / look(options.root, options.environ).folder
    return [] if options.check else ownership.write_entries(folder, {})


def http_modules(options: BuildOptions) -> tuple[HttpModule, ...]:
    """
    Return the project's HTTP modules.

    Raises:
        BuildError: If the name of one gives no URL path.
    """
    folder = options.api_folder
    found = []
    for path in files_in(options.root / folder):
        parts = PurePosixPath(path).parts
        if path.endswith(".py") and not any(map(_is_apart, parts)):
            found.append(http_module(folder / path, folder))
    return tuple(found)


def _is_apart(part: str) -> bool:
    return part.startswith(("_", ".")) or part == "node_modules"


def _sources(options: BuildOptions) -> Sources:
    whole = (options.folder, str(options.api_folder))
    include = options.config.get_workflow().include
    return find_sources(options.root, whole=whole, include=include)


def _lacking(options: BuildOptions, workflows: list[WorkflowFacts]) -> list[Finding]:
    """Return what is wrong where the bundle has not what `kit list` shows."""
    # a name that cannot be printed is shown as escapes, and a function could not open it
    found = {workflow.path for workflow in workflows if (options.root / workflow.path).is_file()}
    listed = workflow_files(options.root / options.folder, root=options.root)
    return [
        Finding(
            "error",
            "BUILD_LACKS_WORKFLOW",
            f"the bundle lacks the workflow of {path}: its events would be dropped. Give the file a"
            " plain name, or one that begins with _ if it is none",
        )
        for path in listed
        if path not in found
    ]


def _check_machine(options: BuildOptions) -> None:
    if options.machine.system == "Windows":
        msg = (
            "Windows does not keep which files can be executed, and the bundle's Python could not"
            " be started: run kit build in WSL, or leave it to Netlify's builder"
        )
        raise BuildError(msg, code="BUILD_NOT_HERE")


def _bundled(
    bundler: Bundler,
    found: Prerequisites,
    modules: tuple[HttpModule, ...],
    findings: tuple[Finding, ...],
    began: float,
) -> Report:
    options = bundler.options
    done = bundler.make(has_http=bool(modules))
    parts = parts_of(done)
    findings += raise_errors(_problems(options, done, parts), strict=options.check)
    workflows = _inspected(bundler, done, modules)
    wrong = [*_lacking(options, workflows), *judge_backoffs(workflows)]
    findings += raise_errors(wrong, strict=options.check)
    settings = options.config.get_workflow()
    settled = [replace(each, store=each.store or settings.store) for each in workflows]
    kept = settings.retention
    retention = None if kept is None else to_milliseconds(parse_duration(kept))
    planned = plan(settled, modules, settings.bundle, retention=retention)
    _write_manifest(bundler, workflows, modules)
    return Report(
        python=bundler.python.version,
        changed=_write(options, found, planned),
        entries={f"{found.folder}/{entry.file}": entry for entry in planned},
        parts=parts,
        findings=findings,
        left_out=bundler.sources.left_out,
        times=_times(bundler, workflows) if options.measure else {},
        seconds=time.perf_counter() - began,
    )


def _problems(
    options: BuildOptions, done: Mapping[str, StageResult], parts: Mapping[str, Size]
) -> list[Finding]:
    unfit = {name: each.facts["unfit"] for name, each in done.items()}
    found = []
    if options.use_running:  # asked for explicitly: it may be meant for another place
        for text in binary_problems({"python": unfit.pop("python")}):
            found.append(Finding("warning", "BUILD_BINARY", text))
    found += [Finding("error", "BUILD_BINARY", text) for text in binary_problems(unfit)]
    return found + [Finding("error", "BUILD_TOO_LARGE", text) for text in size_problems(parts)]


def _inspected(
    bundler: Bundler, done: Mapping[str, StageResult], modules: tuple[HttpModule, ...]
) -> list[WorkflowFacts]:
    """Return what the workflows say of themselves, asking only if the bundle has changed."""
    options = bundler.options
    options.observe("workflows", "")

    def find_out() -> Facts:
        found = inspect(bundler.environment(), modules, options.environ)
        return {"workflows": [to_json(each) for each in found]}

    paths = [module.path for module in modules]
    inputs = [each.fingerprint for each in done.values()]
    known = bundler.stages.recall(
        "workflows", [*inputs, options.folder, paths, str(options.machine)], find_out
    )
    workflows = [from_json(each) for each in known.facts["workflows"]]
    where = (
        "" if options.machine.runs_bundle else ", not imported in the bundle: it cannot run here"
    )
    options.observe("workflows", f"{len(workflows)}{where}")
    return workflows


def _write_manifest(
    bundler: Bundler, workflows: list[WorkflowFacts], modules: tuple[HttpModule, ...]
) -> None:
    folder, paths = bundler.options.folder, bundler.import_paths
    text = manifest.manifest_text(workflows, modules, folder=folder, paths=paths)
    stages = bundler.stages
    manifest.write(stages.bundle, text, stages.moment, stages=stages.made)


def _write(
    options: BuildOptions, found: Prerequisites, planned: tuple[Entry, ...]
) -> tuple[str, ...]:
    folder = options.root / found.folder
    texts = {entry.file: entries.text_of(entry, found.folder) for entry in planned}
    if options.check:
        ownership.check_free(folder, texts)
        return ()
    return tuple(ownership.write_entries(folder, texts))


def _times(bundler: Bundler, workflows: list[WorkflowFacts]) -> dict[str, int]:
    options = bundler.options
    if not options.machine.runs_bundle:
        return {}
    options.observe("import times", "")
    return import_times(bundler.environment(), workflows, options.environ)


def _nothing(options: BuildOptions) -> Finding:
    return Finding(
        "warning",
        "BUILD_NOTHING",
        f"there is nothing to build: no Python files in {options.folder} or {options.api_folder} of"
        f" {options.root}. Begin with: kit init DIR",
    )
