"""
Prints how long a new process takes to import one workflow, the kit included, as the last line.

Which one comes in as JSON; the folders to import from are the arguments.
"""

import time

_BEGIN = time.perf_counter()


def main() -> None:
    """Do what the module says."""
    import json
    import sys
    from pathlib import Path

    sys.path += sys.argv[1:]
    wanted = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what files print while they are imported

    import kit.deploy.function.child  # noqa: F401 - what a function's process begins with
    from kit.project.discovery import load_workflow

    root = Path(wanted["root"])
    load_workflow(root / wanted["file"], folder=root / wanted["folder"], root=root)
    out.write("\n" + json.dumps({"ms": (time.perf_counter() - _BEGIN) * 1000}) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
