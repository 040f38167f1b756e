"""Handlers on a stage, where as little as can be is waited for."""

import pytest


@pytest.fixture
def endless_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is given time is waited for as long as a test may take."""
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 3600)
    monkeypatch.setattr("kit.execution.execute.CLEAN_UP_SECONDS", 3600)
