"""
The manifest, as the function reads it: where Python and the packages are, and which file is what.

`kit build` has written it into the bundle (kit/deploy/bundle/manifest.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

NAME = "manifest.json"


class Manifest(NamedTuple):
    """
    What a bundle holds; paths are relative to `root`, the project's folder in the bundle.

    `workflows` are files by workflow name, `functions` files by the name of the HTTP function.
    """

    root: Path
    folder: Path
    workflows: Mapping[str, str] = {}
    functions: Mapping[str, str] = {}


def read_manifest(bundle: Path) -> Manifest:
    """Return the manifest of a bundle."""
    found = json.loads((bundle / NAME).read_bytes())
    root = bundle / found["root"]
    return Manifest(
        root,
        root / found["folder"],
        {name.lower(): file for name, file in found.get("workflows", {}).items()},
        found.get("functions", {}),
    )
