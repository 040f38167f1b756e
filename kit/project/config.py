"""
Settings: where they come from, and which one counts.

Precedence, highest first; `load` merges its sources in this order and nothing else decides:

    1. an argument                       load(base_url=…)
    2. an environment variable           WORKFLOW_BASE_URL
    3. `.env` in the project's folder    WORKFLOW_BASE_URL=…
    4. the configuration file            kit.yaml, or [tool.kit] in pyproject.toml
    5. what hosting detection found      URL, DEPLOY_URL, AWL_API_KEY_P<n>, AWL_API_KEY
    6. the default

An empty variable counts as absent. `workflow: false` in the file switches workflows off, whatever
other sources say, except for the argument `workflow=True`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from kit.model.errors import ConfigError, WorkflowDisabledError
from kit.project.address import check_key_may_travel
from kit.project.environment import process_environ
from kit.project.files import (
    Section,
    camel_case,
    check_keys,
    find_root,
    kind_of,
    nearest,
)
from kit.project.hosting import Hosting, detect
from kit.project.reading import PREFIX, forget_variables, read_dotenv
from kit.project.settings import (
    FIELDS,
    Kind,
    Origin,
    Provider,
    Source,
    WorkflowConfig,
    hidden,
)

__all__ = ["Config", "Origin", "WorkflowConfig", "load"]

_EXPECTED = {
    "base_url": "an address such as https://my-site.netlify.app",
    "api_key": "the key as text, in quotes",
    "provider": '"netlify" or "local"',
    "store": '"awl" or "blobs"',
    "path": "the path of a file",
    "durability": '"full" or "normal"',
    "replay": '"pauses" or "always"',
    "concurrency": "a whole number from 1 to 10000",
    "retention": 'a duration with its unit, such as "30 days"',
    "folder": "the path of a folder inside the project",
    "include": 'a list of paths in quotes, such as ["data/tokens.json"]',
    "bundle": '"shared" or "per-workflow"',
    "python": 'a version in quotes, such as "3.13"',
}


@dataclass(frozen=True, slots=True)
class Config:
    """
    Everything the settings come to, resolved.

    `workflow` is None where workflows are switched off. `root` is the project's folder, `file`
    the configuration file, if any. `origins` tells of each field, or of `workflow` itself where
    it is switched off, where the value came from.
    """

    root: Path
    workflow: WorkflowConfig | None
    provider: Provider
    hosting: Hosting
    origins: Mapping[str, Origin]
    file: Path | None = None

    @property
    def enabled(self) -> bool:
        """Whether workflows are switched on."""
        return self.workflow is not None

    @property
    def base_url(self) -> str | None:
        """The origin events are sent to, or None."""
        return self.workflow.base_url if self.workflow else None

    @property
    def api_key(self) -> SecretStr | None:
        """The key events are sent with, or None."""
        return self.workflow.api_key if self.workflow else None

    @property
    def path(self) -> Path:
        """The file that keeps local runs; of a symbolic link, its target."""
        named = self.root / self.get_workflow().path
        return Path(os.path.realpath(named)) if named.is_symlink() else named

    @property
    def folder(self) -> Path:
        """The folder of workflow files."""
        return self.root / self.get_workflow().folder

    def get_workflow(self) -> WorkflowConfig:
        """
        Return the settings.

        Raises:
            WorkflowDisabledError: If workflows are switched off.
        """
        if self.workflow is None:
            msg = (
                f"workflows are switched off ({self.origins['workflow']}). Remove that to use them"
            )
            raise WorkflowDisabledError(msg)
        return self.workflow


def load(
    root: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    workflow: bool | None = None,
    **arguments: Any,
) -> Config:
    """
    Read every source and return the settings that count.

    The project is looked for from *root* upward, or from the current folder; *environ* stands in
    for the environment. An argument that is None counts as not given.

    Raises:
        ConfigError: If a source is unreadable or a value is wrong: which, where, what to do.
        TypeError: If an argument is no setting.
    """
    arguments = _hidden(arguments)
    try:
        variables = process_environ() if environ is None else environ
        return _load(Path(root or Path.cwd()).absolute(), variables, workflow, arguments)
    except BaseException as error:
        variables = environ = {}
        forget_variables(error)
        raise


def _load(
    start: Path, variables: Mapping[str, str], workflow: bool | None, arguments: Mapping[str, Any]
) -> Config:
    hosting = detect(variables)
    folder, section = find_root(start)
    file = section.path if section else None
    if off := _switched_off(section, workflow):
        return Config(folder, None, "local", hosting, {"workflow": off}, file)
    sources = (
        _arguments(arguments),
        _variables(variables, "environment"),
        _variables(read_dotenv(folder), ".env"),
        _from_file(section),
        _from_hosting(hosting),
    )
    origins = {name: _origin(name, sources) for name in FIELDS}
    settings = _validated(_merged(sources), origins, section)
    _check_transport(settings, origins)
    provider, origins["provider"] = _provider(settings, hosting, origins)
    return Config(folder, settings, provider, hosting, origins, file)


def _switched_off(section: Section | None, workflow: bool | None) -> Origin | None:
    if workflow is False:
        return Origin("argument", "workflow=False")
    if workflow is None and section is not None and section.values is None:
        return Origin("file", f"{section.origin()}: false")
    return None


def _arguments(arguments: Mapping[str, Any]) -> Source:
    for name in arguments:
        if name not in FIELDS:
            msg = f"load() takes no argument {name!r}. {nearest(name, FIELDS)}"
            raise TypeError(msg)
    given = {name: value for name, value in arguments.items() if value is not None}
    return Source(_hidden(given), {name: Origin("argument", name) for name in given})


def _variables(variables: Mapping[str, str], kind: Kind) -> Source:
    names = {name: PREFIX + name.upper() for name in FIELDS}
    given = {name: variables[it] for name, it in names.items() if variables.get(it)}
    return Source(_hidden(given), {name: Origin(kind, names[name]) for name in given})


def _from_file(section: Section | None) -> Source:
    if section is None:
        return Source({}, {})
    values = check_keys(section, FIELDS)
    for name, value in values.items():
        # strictly, as an editor checks it: YAML has types, unlike variables
        if not _is_typed(name, value):
            where = section.place(camel_case(name))
            msg = f"{where}: {_mistyped(name, value)}; it must be {_EXPECTED[name]}"
            raise ConfigError(msg)
    origins = {name: Origin("file", section.origin(camel_case(name))) for name in values}
    return Source(_hidden(values), origins)


def _is_typed(name: str, value: Any) -> bool:
    if name == "include":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    wanted = int if WorkflowConfig.model_fields[name].annotation is int else str
    return isinstance(value, wanted) and not isinstance(value, bool)


def _from_hosting(hosting: Hosting) -> Source:
    found = {"base_url": hosting.base_url, "api_key": hosting.api_key}
    kind: Kind = "hosting" if hosting.is_netlify else "environment"
    return Source(
        _hidden({name: it.value for name, it in found.items() if it}),
        {name: Origin(kind, it.name) for name, it in found.items() if it},
    )


def _hidden(values: Mapping[str, Any]) -> dict[str, Any]:
    """Wrap the key before anything can print it."""
    return {name: hidden(it) if name == "api_key" else it for name, it in values.items()}


def _origin(name: str, sources: Sequence[Source]) -> Origin:
    found = (source.origins[name] for source in sources if name in source.origins)
    return next(found, Origin("default"))


def _merged(sources: Sequence[Source]) -> dict[str, Any]:
    """Return every value that counts: of each setting, the first source's that says one."""
    merged: dict[str, Any] = {}
    for source in sources:
        merged = {**source.values, **merged}
    return merged


def _validated(
    values: Mapping[str, Any], origins: Mapping[str, Origin], section: Section | None
) -> WorkflowConfig:
    try:
        return WorkflowConfig(**values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    # raised out here, so that pydantic's error, which holds the values, is not its context
    lines = [_problem(dict(problem), origins, section) for problem in problems]
    raise ConfigError("\n".join(lines))


def _problem(
    problem: Mapping[str, Any], origins: Mapping[str, Origin], section: Section | None
) -> str:
    name = str(problem["loc"][0])
    origin = origins[name]
    in_file = section is not None and origin.kind == "file"
    where = section.place(camel_case(name)) if section and in_file else str(origin)
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}"
    return f"{where}: {_shown(name, problem['input'])} will not do; it must be {_EXPECTED[name]}"


def _mistyped(name: str, value: Any) -> str:
    if value is None:
        return "it has no value"
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"{_shown(name, value) if is_plain else 'it'} is {kind_of(value)}"


def _shown(name: str, value: Any) -> str:
    return "its value (hidden)" if name == "api_key" else repr(value)[:100]


def _check_transport(settings: WorkflowConfig, origins: Mapping[str, Origin]) -> None:
    try:
        check_key_may_travel(settings.base_url or "", settings.api_key is not None)
    except ValueError as error:
        msg = f"{origins['base_url']}: {error} (the key is from: {origins['api_key']})"
        raise ConfigError(msg) from None


def _provider(
    settings: WorkflowConfig, hosting: Hosting, origins: Mapping[str, Origin]
) -> tuple[Provider, Origin]:
    if settings.provider:
        return settings.provider, origins["provider"]
    if hosting.is_netlify:
        return "netlify", Origin("hosting", hosting.reason)
    if settings.base_url:
        return "netlify", Origin("derived", f"baseUrl is set ({origins['base_url']})")
    return "local", Origin("default")
