"""A project of a test's own, whose runs note which process has executed their steps."""

import os
from pathlib import Path

import pytest

from tests.real.processes.server import Server

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is here where processes cannot fork."""
    if not hasattr(os, "fork"):
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="this system does not fork"))


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Server:
    return Server(tmp_path)
