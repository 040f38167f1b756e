"""The texts of settings' files, and what `.env` says; no error leaves any of it in a frame."""

from __future__ import annotations

from pathlib import Path

from kit.model.errors import ConfigError

PREFIX = "WORKFLOW_"
"""How the names of variables begin that are settings."""

_LARGEST = 1_000_000


def read_dotenv(root: Path) -> dict[str, str]:
    """
    Return what `.env` in *root* says, taken literally: nothing is expanded.

    Raises:
        ConfigError: If it cannot be read.
    """
    path = root / ".env"
    if not path.is_file():  # a folder of that name is somebody's virtual environment
        return {}
    from io import StringIO

    from dotenv.parser import parse_stream

    found = {}
    for binding in parse_stream(StringIO(read_text(path))):
        if binding.error and PREFIX in binding.original.string:
            msg = (
                f"{path} line {binding.original.line} cannot be understood: write it as NAME=value,"
                " and close quotes on the same line"
            )
            raise ConfigError(msg)
        if binding.key and binding.value:
            found[binding.key] = binding.value
    return found


def forget_variables(error: BaseException | None) -> None:
    """
    Empty the frames that *error* and what led to it have come through, but for those still at work.

    A report that shows the variables of frames must not meet the key in one.
    """
    import traceback  # only mistakes need it

    while error is not None:
        traceback.clear_frames(error.__traceback__)
        if error.__suppress_context__:
            error.__context__ = None  # which may repeat the text it stumbled over
        error = error.__cause__ or error.__context__


def read_text(path: Path) -> str:
    """
    Return the text of a file.

    Raises:
        ConfigError: If it is none, or cannot be read.
    """
    try:
        if not path.is_file():
            msg = f"{path} is no file. Remove it, or put the settings there"
            raise ConfigError(msg)
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LARGEST)
            if file.read(1):
                msg = f"{path} is longer than a million characters, and not read"
                raise ConfigError(msg)
            return text
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check what it is and who may read it"
        raise ConfigError(msg) from error
    except UnicodeDecodeError:
        msg = f"{path} cannot be read: it is not UTF-8. Save it with that encoding"
        raise ConfigError(msg) from None
