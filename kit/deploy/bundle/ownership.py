"""
Which files in the functions' folder are the build's own: it touches no other.

An entry begins with a line that says so, with a digest of the rest. A file without that line is the
user's; one whose digest is wrong was edited by hand, and its changes would be lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit.model.errors import BuildError

_MARK = re.compile(r"// kit build: sha256=([0-9a-f]{64})\n")
_FUNCTIONS = (".mjs", ".js", ".cjs", ".ts", ".mts", ".cts", ".zip", "")


def write_entries(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """
    Write *texts* by file name into *folder*, remove earlier entries, and return what has changed.

    Raises:
        BuildError: If a file of the user's is in the way, or an entry was edited by hand. Nothing
            is written then.
    """
    stale = [name for name in own_entries(folder) if name not in texts]
    check_free(folder, texts)
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in sorted(texts.items()):
        file, marked = folder / name, _marked(text)
        if not file.is_file() or file.read_text(encoding="utf-8") != marked:
            file.write_text(marked, encoding="utf-8", newline="\n")
            changed.append(name)
    for name in stale:
        (folder / name).unlink()
    return sorted([*changed, *stale])


def own_entries(folder: Path) -> list[str]:
    """
    Return the names of the entries the build has written into *folder*, sorted.

    Raises:
        BuildError: If one of them was edited by hand.
    """
    names = []
    for file in sorted(folder.glob("kit-*.mjs")):
        text = file.read_text(encoding="utf-8", errors="replace")
        mark = _MARK.match(text)
        if mark is None:
            continue
        if _digest(text[mark.end() :]) != mark[1]:
            msg = (
                f"{file} was written by `kit build` and then edited, which the next build would"
                " undo. Delete it to have it written anew, or delete its first line and give it"
                " another name to keep it as yours"
            )
            raise BuildError(msg, code="BUILD_ENTRY_EDITED", details={"paths": [str(file)]})
        names.append(file.name)
    return names


def check_free(folder: Path, texts: Mapping[str, str]) -> None:
    """
    Check that no file of the user's has the name of a function to be written.

    Raises:
        BuildError: If one has.
    """
    own = set(own_entries(folder))
    wanted = {Path(name).stem.lower(): name for name in texts}
    for path in _functions(folder):
        name = wanted.get(path.stem.lower() if path.is_file() else path.name.lower())
        if name is not None and path.name not in own:
            msg = (
                f"{path} has the name of the function `kit build` would write as {name}."
                " It is yours and stays as it is: rename it, or the Python file"
            )
            raise BuildError(
                msg, code="BUILD_NAME_TAKEN", details={"paths": [str(path), str(folder / name)]}
            )


def _functions(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() or path.suffix in _FUNCTIONS:
            yield path


def _marked(text: str) -> str:
    return f"// kit build: sha256={_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
