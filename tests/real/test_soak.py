"""A short one of `make soak`: processes that share a run file are killed."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks/soak.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is what this is about")
def test_processes_that_share_a_file_are_killed_and_no_promise_is_broken(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("kit_soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kit_soak"] = module
    try:
        spec.loader.exec_module(module)
        found = module.soak(tmp_path, kills=15)
    finally:
        del sys.modules["kit_soak"]
    assert found["accepted"] > 5  # as far as a busy machine comes
    assert found["stopped"] > 0
    assert found["steps"] > 15
