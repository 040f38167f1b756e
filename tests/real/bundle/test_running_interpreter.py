import subprocess
import sys
from pathlib import Path

import pytest

from kit.deploy.bundle import interpreter
from kit.deploy.bundle.interpreter import copy, running


@pytest.mark.skipif(sys.platform != "linux", reason="the copy is for Linux")
def test_the_running_one_can_be_copied(tmp_path: Path) -> None:
    own = running()
    copy(own, (), tmp_path / "copy")

    done = subprocess.run(
        [tmp_path / "copy" / interpreter.EXECUTABLE, "-c", "import sys, json; print(sys.prefix)"],
        capture_output=True,
        text=True,
        env={"LD_LIBRARY_PATH": str(tmp_path / "copy/lib")},
    )
    assert done.stdout.strip() == str(tmp_path / "copy"), done.stderr
    assert own.is_running
