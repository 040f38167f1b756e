"""`kit`, and `python -m kit.cli`."""

from __future__ import annotations

import atexit
import gc
import sys

from kit.cli.status import INTERRUPTED


def main() -> None:
    """Run the command line; say what to install when only the base kit is there."""
    # or else the interpreter looks once more through all that was imported, which takes a while
    atexit.register(gc.freeze)
    # httpx loads a command line of its own where it can, and rich and pygments for it
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    try:
        _main()
    except KeyboardInterrupt:  # while modules are imported; a command says what it has to say
        sys.exit(INTERRUPTED)


def _main() -> None:
    try:
        from kit.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.exit(
            f"The command line needs {error.name!r}, which the base kit leaves out."
            " Install it with: pip install 'netlify-workflow-kit[dev]'"
        )
    run()


if __name__ == "__main__":
    main()
