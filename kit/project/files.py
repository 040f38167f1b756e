"""
The files settings come from: `kit.yaml`, or `[tool.kit]` in `pyproject.toml`.

Finds and reads them, and turns their camelCase keys into field names. What the values mean is
judged in `config`. An error names the file, the line where it is known, and what to do; it never
repeats a value, which may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.model.article import with_article
from kit.model.errors import ConfigError
from kit.project.reading import forget_variables, read_text

if TYPE_CHECKING:
    import yaml

YAML_NAMES = ("kit.yaml", "kit.yml")
SECTION = "workflow"
_MARKERS = (".git", "netlify.toml", "pyproject.toml")
_SQUEEZED = dict.fromkeys(map(ord, " \t\"'"))
_OURS = ("tool.kit", "\n[tool]", "\ntool=")
"""How a table `tool.kit` begins, squeezed: most projects with the kit only name it as a package."""


@dataclass(frozen=True, slots=True)
class Section:
    """
    The `workflow` section of one file; keys are still as the file spells them.

    `values` is None where the file says `workflow: false`. `lines` tells where a key stands.
    """

    path: Path
    values: Mapping[str, Any] | None = field(repr=False)  # the key may be among them
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    def place(self, key: str = "") -> str:
        """Say where *key* stands, as `kit.yaml line 3, workflow.baseUrl`."""
        line = self.lines.get(key)
        return f"{self.path}{f' line {line},' if line else ''} {self._dotted(key)}"

    def origin(self, key: str = "") -> str:
        """Name *key* for good, as `kit.yaml workflow.baseUrl`: lines move, keys do not."""
        return f"{self.path.name} {self._dotted(key)}"

    def _dotted(self, key: str) -> str:
        prefix = "tool.kit." if self.path.suffix == ".toml" else ""
        return f"{prefix}{SECTION}.{key}" if key else f"{prefix}{SECTION}"


def camel_case(name: str) -> str:
    """Return a field's name as files spell it: `base_url` is `baseUrl`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def find_root(start: Path) -> tuple[Path, Section | None]:
    """
    Return the project's folder and its section, looking from *start* upward as far as a `.git`.

    The nearest folder with a configuration file is the project; without one, the nearest that
    has a `.git`, `netlify.toml` or `pyproject.toml`; else *start*.

    Raises:
        ConfigError: If a file cannot be read or understood, or a folder has two of them.
    """
    try:
        return _find_root(start)
    except BaseException as error:
        forget_variables(error)
        raise


def check_keys(section: Section, fields: Iterable[str]) -> dict[str, Any]:
    """
    Return the section's values under their field names.

    Raises:
        ConfigError: If a key is unknown; the message names the nearest known one.
    """
    known = {camel_case(name): name for name in fields}
    for key in section.values or {}:
        if key not in known:
            msg = f"{section.place(str(key)[:100])}: there is no such key. {nearest(key, known)}"
            raise ConfigError(msg)
    return {known[key]: value for key, value in (section.values or {}).items()}


def nearest(key: object, known: Iterable[str]) -> str:
    """Return advice on a key that does not exist: the nearest that does, or all of them."""
    plain = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(key), plain, n=1)
    if close:
        return f"Did you mean {plain[close[0]]}?"
    return f"Known: {', '.join(sorted(plain.values()))}."


def kind_of(value: Any) -> str:
    """Say what *value* is without saying the value."""
    if isinstance(value, bool):
        return str(value).lower()
    names = {list: "a list", dict: "a section", str: "text", int: "a number", float: "a number"}
    return (
        "nothing" if value is None else names.get(type(value), with_article(type(value).__name__))
    )


def _find_root(start: Path) -> tuple[Path, Section | None]:
    marked = None
    for folder in _upward(start):
        if section := _section_in(folder):
            return folder, section
        if marked is None and any((folder / name).exists() for name in _MARKERS):
            marked = folder
    return marked or start, None


def _plain(key: object) -> str:
    return str(key).lower().replace("_", "").replace("-", "")


def _upward(start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder
        if (folder / ".git").exists():
            return


def _section_in(folder: Path) -> Section | None:
    paths = [folder / name for name in YAML_NAMES if (folder / name).exists()]
    table = _tool_table(folder / "pyproject.toml")
    names = [path.name for path in paths] + (["[tool.kit] in pyproject.toml"] if table else [])
    if len(names) > 1:
        msg = f"{folder} has both {' and '.join(names)}: keep one, so that no setting hides another"
        raise ConfigError(msg)
    return _yaml_section(paths[0]) if paths else table


def _tool_table(path: Path) -> Section | None:
    # read only where it may be ours: a broken file of another project is not our business
    text = read_text(path) if path.is_file() else ""
    squeezed = "\n" + text.translate(_SQUEEZED)
    if not any(sign in squeezed for sign in _OURS):
        return None
    import tomllib

    try:
        tool = tomllib.loads(text).get("tool", {})
    except (ValueError, RecursionError) as error:  # a number of more digits than Python reads, too
        msg = f"{path} is no valid TOML: {error}"
        raise ConfigError(msg) from None
    if not isinstance(tool, dict) or "kit" not in tool:
        return None
    return _section(path, tool["kit"], {})


def _yaml_section(path: Path) -> Section:
    import yaml

    # the loader in Python: its C twin says less about what is wrong
    text = read_text(path)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, path)) if node else {}
        content = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        raise _yaml_error(path, text, error) from None
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - PyYAML fails in any way at a tag its text belies
        msg = f"{path} holds a value YAML cannot read ({_reason(error)}). Put quotes around text"
        raise ConfigError(msg) from None
    return _section(path, {} if content is None else content, lines)


def _lines(node: yaml.Node, path: Path, inside: str = "") -> Iterator[tuple[str, int]]:
    """Yield each key of the file's two levels with its line; refuse a key given twice."""
    import yaml

    seen: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key.value, str):
            continue
        line = key.start_mark.line + 1
        if key.value in seen:
            msg = (
                f"{path} line {line}: {inside}{key.value} is given twice, first on line"
                f" {seen[key.value]}. Keep one of them"
            )
            raise ConfigError(msg)
        seen[key.value] = line
        if not inside and key.value == SECTION:
            yield "", line
            yield from _lines(value, path, f"{SECTION}.")
        elif inside:
            yield key.value, line


def _section(path: Path, content: Any, lines: Mapping[str, int]) -> Section:
    if not isinstance(content, dict):
        msg = f"{path} holds {kind_of(content)}; it must hold keys, at the top `{SECTION}:`"
        raise ConfigError(msg)
    for key in content:
        if key != SECTION:
            msg = f"{path}: there is no key {str(key)[:100]!r} at the top. {_top_advice(key)}"
            raise ConfigError(msg)
    values = content.get(SECTION)
    if values is False:
        return Section(path, None, lines)
    if values is not None and not isinstance(values, dict):
        msg = (
            f"{Section(path, {}, lines).place()}: it is {kind_of(values)}, but must be a section of"
            " keys, or false to switch workflows off"
        )
        raise ConfigError(msg)
    return Section(path, values or {}, lines)


def _top_advice(key: object) -> str:
    if difflib.get_close_matches(str(key).lower(), [SECTION]):
        return f"Did you mean {SECTION}?"
    return f"All settings stand below `{SECTION}:`."


def _yaml_error(path: Path, text: str, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ConfigError(f"{path} is no valid YAML: {getattr(error, 'reason', error)}")
    where = f"{path} line {mark.line + 1}"
    lines = text.splitlines()
    if mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        return ConfigError(f"{where}: there is a tab. YAML is indented with spaces only")
    return ConfigError(
        f"{where}, column {mark.column + 1}, is no valid YAML: {getattr(error, 'problem', error)}"
    )


def _reason(error: Exception) -> str:
    """Say why PyYAML failed, without the value, which may be a secret."""
    if isinstance(error, (KeyError, AttributeError, TypeError)) or "'" in str(error):
        return "a tag such as !!bool or !!timestamp stands before something else"
    return str(error)[:100]
