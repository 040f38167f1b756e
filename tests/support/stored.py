"""What a run file holds, asked from outside."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from kit.store.sqlite.reader import Reader


class Stored:
    """Answers as a `Reader` does, opening the file for each question and leaving none open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*args: Any, **options: Any) -> Any:
            with closing(Reader(self.path)) as reader:
                return getattr(reader, name)(*args, **options)

        return ask
