"""What the workflows here have done, in a file: a line each, whichever process did it."""

import os
from pathlib import Path


def note(what: str) -> int:
    """Write a line, and return how many there are of the same."""
    file = Path(os.environ["TALLY"])
    with file.open("a") as lines:
        lines.write(f"{what}\n")
    return file.read_text().splitlines().count(what)
