"""docs/architecture.md names what there is."""

import re
from pathlib import Path

import pytest

import kit

ROOT = Path(kit.__file__).parent
DOCS = ROOT.parent / "docs" / "architecture.md"
ROOMS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}


def named() -> list[str]:
    spoken = re.findall(r"`([a-z_]+(?:/[a-z_.]+)*)`", DOCS.read_text("utf-8"))
    return sorted({each for each in spoken if each.split("/")[0] in ROOMS})


@pytest.mark.skipif(not DOCS.exists(), reason="the docs are not beside the package")
@pytest.mark.parametrize("path", named() if DOCS.exists() else [])
def test_every_module_named_there_exists(path: str) -> None:
    place = ROOT / path
    assert place.is_file() or place.is_dir() or place.with_name(f"{place.name}.py").is_file()


@pytest.mark.skipif(not DOCS.exists(), reason="the docs are not beside the package")
def test_every_room_is_named_there() -> None:
    tree = DOCS.read_text("utf-8").split("```")[1]
    assert {room for room in ROOMS if f"  {room}/" in tree} == ROOMS
    assert len(named()) > 40
