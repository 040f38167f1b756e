"""What Netlify's own bundler makes of a build."""

import json
import subprocess
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

REPOSITORY = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("zip.mjs")


def zip_functions(project: Any, to: Path) -> dict[str, Any]:
    """Zip the functions of *project*, and return what the bundler says of each."""
    if not (REPOSITORY / "node_modules/@netlify/zip-it-and-ship-it").is_dir():
        pytest.skip("@netlify/zip-it-and-ship-it is not installed")
    arguments = [project.root / "functions", to, project.root]
    done = subprocess.run(["node", SCRIPT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {function["name"]: function for function in json.loads(done.stdout)}


@pytest.fixture(name="zips", scope="module")
def _zips(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return zip_functions(demo, tmp_path_factory.mktemp("zips"))


def names(function: dict[str, Any]) -> dict[str, Any]:
    with ZipFile(function["path"]) as archive:
        return {info.filename: info for info in archive.infolist()}


def test_every_entry_is_one_function_and_nothing_else_is(zips: dict[str, Any]) -> None:
    assert sorted(zips) == ["kit-api-publish", "kit-workflows"]
    assert zips["kit-api-publish"]["config"]["path"] == ["/api/publish"]


def test_the_whole_bundle_is_in_each(demo: Any, zips: dict[str, Any]) -> None:
    wanted = {f".kit/bundle/{path}" for path in demo.contents()}

    for function in zips.values():
        assert wanted - set(names(function)) == set()


def test_the_interpreter_can_be_executed(zips: dict[str, Any]) -> None:
    for function in zips.values():
        info = names(function)[".kit/bundle/python/bin/python3"]
        assert info.external_attr >> 16 & 0o777 == 0o755


def test_an_entry_has_nodes_part_inlined(zips: dict[str, Any]) -> None:
    function = zips["kit-workflows"]

    with ZipFile(function["path"]) as archive:
        text = archive.read("functions/kit-workflows.mjs").decode()
    assert 'from "../.kit' not in text
    assert "node:child_process" in text


def test_its_size_is_what_the_build_has_said(demo: Any, zips: dict[str, Any]) -> None:
    said = demo.report.total.zipped

    for function in zips.values():
        assert abs(function["size"] - said) < said * 0.03
        if not demo.builder.use_running:
            assert function["size"] <= 15_000_000
