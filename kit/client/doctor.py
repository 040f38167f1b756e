"""
What stands between a project and workflows that run: one check a line, each with what to do.

No event is sent. The router is asked with an empty list of events, the management API without a
body; both answer such a request with a refusal that only they give, and only to a good key.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.client.netlify import site_of
from kit.model.errors import ConfigError, WorkflowError
from kit.netlify.flow import HttpRequest, probe_flow
from kit.netlify.management import management_probe
from kit.netlify.responses import NoResponse, Response, meaning_of
from kit.netlify.router import router_request
from kit.netlify.runs import VERSION, VERSION_HEADER, RunsApi, read_page, understood
from kit.netlify.site import Site
from kit.netlify.transport import Transport
from kit.project.catalog import Catalog
from kit.project.config import Config, load
from kit.project.settings import Key, hidden

NODE_VERSION = 20
PACKAGE = "@netlify/async-workloads"
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `ok` is None for what is not needed here, or cannot be told."""

    name: str
    ok: bool | None
    why: str
    todo: str = ""


def examine(
    root: Path | None = None,
    *,
    base_url: str | None = None,
    api_key: Key | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float = _PATIENCE,
    try_store: bool = False,
) -> Iterator[Check]:
    """
    Look at everything in turn, and yield each finding as it is made.

    With *try_store* the site also tries whether Netlify Blobs keeps to its conditional writes: with
    keys of its own, which it removes.
    """
    api_key = hidden(api_key)  # no frame of an error shows it
    try:
        config = load(root, environ=environ, base_url=base_url, api_key=api_key)
        if base_url is not None and config.provider == "local":  # by the file; the option overrules
            config = load(
                root, environ=environ, base_url=base_url, api_key=api_key, provider="netlify"
            )
        config.get_workflow()
    except WorkflowError as error:
        yield Check("settings", False, error.message, "correct it; `kit config` shows them all")
        return
    yield from check_settings(config)
    yield check_workflows(config)
    yield from check_building(config.root)
    yield from _check_site(config, timeout, try_store=try_store)


def check_settings(config: Config) -> Iterator[Check]:
    """Tell what the settings come to, and where each came from."""
    yield Check("settings", True, f"{config.file or 'no configuration file'}")
    yield Check("provider", True, f"{config.provider} ({config.origins['provider']})")
    if config.provider == "local":
        return
    try:
        site = site_of(config)
    except ConfigError as error:
        yield Check("base URL", False, "not set", error.message)
        return
    yield Check("base URL", True, f"{site.origin} ({config.origins['base_url']})")
    if site.api_key is None:
        todo = "set WORKFLOW_API_KEY to one of the site's AWL_API_KEY values"
        yield Check("API key", False, "not set", todo)
    else:
        yield Check("API key", True, f"set ({config.origins['api_key']})")


def check_workflows(config: Config) -> Check:
    """Tell whether every workflow file can be imported."""
    found = Catalog.of(config)
    errors = (*found.errors, *found.check_annotations())
    if errors:
        broken = ", ".join(error.path for error in errors[:5])
        return Check("workflows", False, f"cannot be used: {broken}", "`kit list` says why")
    if not found.names():
        return Check("workflows", None, f"none in {config.get_workflow().folder}")
    return Check("workflows", True, ", ".join(found.names()[:8]))


def check_building(root: Path) -> Iterator[Check]:
    """Tell whether Node and the npm package are there, if the project is a site to be built."""
    if not (root / "netlify.toml").exists():
        yield Check("building", None, "no netlify.toml here, so nothing is built")
        return
    yield _check_node()
    yield _check_package(root)


def check_router(response: Response | NoResponse, site: Site) -> Iterator[Check]:
    """Tell whether the router is there and the key good, by its answer to an empty list."""
    if isinstance(response, NoResponse):
        yield Check("router", False, site.clean(response.why), "see above")
    elif response.status == 400 and "no valid events" in response.headers.get("x-awl-reason", ""):
        yield Check("router", True, "present")
        yield Check("key accepted", True, "by the router")
    elif response.status == 401 and "x-awl-reason" in response.headers:
        yield Check("router", True, "present")
        yield Check("key accepted", False, *_halves(meaning_of(response, site)))
    else:
        yield Check("router", False, *_halves(meaning_of(response, site)))


def check_management(response: Response | NoResponse, site: Site) -> Check:
    """Tell whether the management API is there, by its answer to a request without a body."""
    if isinstance(response, NoResponse):
        return Check("management API", False, site.clean(response.why), "see above")
    reason = response.headers.get("x-awl-reason", "")
    if response.status == 400 and "missing valid JSON body" in reason:
        return Check("management API", True, "present")
    return Check("management API", False, *_halves(meaning_of(response, site)))


def check_runs(response: Response | NoResponse, site: Site, *, is_needed: bool) -> Check:
    """
    Tell whether the runs API is there, which version, and whether it takes the key.

    It is needed where a workflow is to live in a record; else it is no mistake that there is none.
    """
    name = "runs API"
    if isinstance(response, NoResponse):
        return Check(name, False, site.clean(response.why), "see above")
    if VERSION_HEADER not in response.headers:
        why = f"none (it answered {response.status}): runs can be started, but not looked at"
        todo = "set `store: blobs` in kit.yaml, run `kit build`, and deploy again"
        return Check(name, False if is_needed else None, why, todo)
    version = site.clean(response.headers[VERSION_HEADER])
    if version != VERSION:
        todo = f"deploy the site with this version of the kit, which speaks version {VERSION}"
        return Check(name, False, f"version {version}", todo)
    try:
        read_page(understood(response, site, "listing runs"), site, response)
    except WorkflowError as error:
        return Check(name, False, f"version {version}, but: {error.message}", _RUNS_TODO)
    return Check(name, True, f"version {version}")


_RUNS_TODO = "correct that, then ask again; docs/runs-api.md lists what it answers"


def check_store(found: Mapping[str, Any]) -> Iterator[Check]:
    """Tell what a trial of the store has shown, by what the runs API says of it."""
    for each in found["checks"]:
        todo = "" if each["ok"] else _STORE_TODO[each["ok"]]
        yield Check(f"store: {each['name']}", each["ok"], each["why"], todo)
    took = f"tried by {found['writers']} writers, in {found['took']} ms"
    verdict = found["verdict"]
    ok = {"kept": True, "broken": False}.get(verdict)
    todo = "" if ok else _STORE_TODO[ok]
    yield Check("store: conditional writes", ok, f"{verdict} ({took})", todo)


_STORE_TODO = {
    False: "do not use `store: blobs` there; tell us, and Netlify, what was found",
    None: "try again: the store was too slow for a verdict",
}


def _try_store(site: Site, transport: Transport) -> Iterator[Check]:
    try:
        found = transport.carry_out(RunsApi(site).try_store())
    except WorkflowError as error:
        if error.code == "NOT_SUPPORTED_STORE":
            yield Check("store: conditional writes", None, error.message)
            return
        is_old = error.code in ("INVALID_ID", "NOT_FOUND", "METHOD_NOT_ALLOWED")
        todo = "deploy the site with this version of the kit" if is_old else "see above"
        yield Check("store: conditional writes", False, f"not tried: {error.message}", todo)
    else:
        yield from check_store(found)


def _check_site(config: Config, timeout: float, *, try_store: bool) -> Iterator[Check]:
    if config.provider == "local" or config.base_url is None:
        yield Check("site", None, "runs live on this machine; no site is needed")
        if try_store:
            todo = "set WORKFLOW_BASE_URL, or give --base-url"
            yield Check("store: conditional writes", False, "no site is named to try it on", todo)
        return
    site = site_of(config)
    transport = Transport(timeout=timeout)
    try:
        response = transport.carry_out(probe_flow(HttpRequest("GET", f"{site.origin}/")))
        if isinstance(response, NoResponse):
            yield Check("site", False, site.clean(response.why), "check workflow.baseUrl")
            return
        yield Check("site", True, f"answers at {site.origin}")
        response = transport.carry_out(probe_flow(router_request([], site)))
        yield from check_router(response, site)
        response = transport.carry_out(probe_flow(management_probe(site)))
        yield check_management(response, site)
        response = transport.carry_out(probe_flow(RunsApi(site).probe()))
        yield check_runs(response, site, is_needed=config.get_workflow().store == "blobs")
        if try_store:
            yield from _try_store(site, transport)
    finally:
        transport.close()


def _check_node() -> Check:
    node = shutil.which("node")
    todo = f"install Node {NODE_VERSION} or later, with npm"
    if node is None or shutil.which("npm") is None:
        return Check("Node", False, "node or npm is not on the PATH", todo)
    try:
        shown = subprocess.run(  # noqa: S603 - the user's own node
            [node, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=True
        ).stdout.strip()
        major = int(shown.removeprefix("v").split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return Check("Node", False, f"{node} --version does not say a version", todo)
    return Check("Node", major >= NODE_VERSION, shown, "" if major >= NODE_VERSION else todo)


def _check_package(root: Path) -> Check:
    name = f"npm package {PACKAGE}"
    try:
        text = (root / "node_modules" / PACKAGE / "package.json").read_text("utf-8")
        return Check(name, True, str(json.loads(text)["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Check(name, False, "not installed", f"npm install {PACKAGE}")


def _halves(meaning: str) -> tuple[str, str]:
    """Split what an answer means into what it is and what to do."""
    why, _, todo = meaning.partition(". ")
    return why, todo
