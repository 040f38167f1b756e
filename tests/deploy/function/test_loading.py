"""What a function finds in its bundle and its environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kit.client.default import Default, provider, use
from kit.deploy.function import environment
from kit.deploy.function.loading import Loader
from kit.deploy.function.manifest import read_manifest
from kit.model.errors import WorkflowNotFoundError
from kit.project.catalog import Catalog
from tests.support.function_child import Collecting


def test_a_manifest_is_read_with_paths_below_the_root(bundle: Path):
    manifest = read_manifest(bundle)

    assert manifest.root == bundle / "app"
    assert manifest.folder == bundle / "app" / "functions" / "workflows"
    assert manifest.workflows["works"] == "functions/workflows/works.py"
    assert manifest.functions["[id]"] == "functions/api/[id].py"


def test_a_loader_knows_what_its_bundle_has_not(bundle: Path):
    loader = Loader(read_manifest(bundle))

    with pytest.raises(WorkflowNotFoundError):
        loader.workflow("nope")
    with pytest.raises(LookupError, match="holds no HTTP function 'nope'"):
        loader.function("nope")


def test_settings_are_read_again_when_one_of_theirs_has_changed(monkeypatch: pytest.MonkeyPatch):
    source = Collecting()
    monkeypatch.setattr(os, "environ", dict(os.environ))
    try:
        use(Default(source, Catalog()))  # type: ignore[arg-type]
        environment.change({"UNRELATED": "1"}, ("NOTHING",))
        assert provider() is source
        environment.change({"WORKFLOW_BASE_URL": "https://other.example", "NETLIFY": "true"})
        assert provider() is not source
        environment.change({}, ("UNRELATED",))
        assert "UNRELATED" not in os.environ
    finally:
        use(None)
