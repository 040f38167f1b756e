"""The Python side of the bridge in this process, with the test as Node: HTTP requests."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.function.loading import Loader
from kit.deploy.function.manifest import read_manifest
from tests.support.function_child import talking


def asked(function: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    url = f"https://shop.example/api/{more.pop('path', function)}"
    about = {"function": function, "method": method, "url": url, "headers": [], "timeLeft": 20}
    return {"type": "request", "call": 1, **about, **more}


@pytest.fixture
def root_on_path(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(bundle / "app")


@pytest.mark.usefixtures("root_on_path")
async def test_a_request_is_answered_by_its_function(bundle: Path):
    async with talking(bundle) as node:
        node.say(**asked("hello", "POST", hasBody=True))
        for frame in ({"type": "body", "data": "aGkg"}, {"type": "body", "data": "eW91"}):
            node.say(call=1, **frame)
        node.say(type="bodyEnd", call=1)
        heard = [await node.hear() for _ in range(4)]

    assert [each["type"] for each in heard] == ["took", "took", "head", "end"]
    assert b64decode(heard[2]["data"]) == b"hi you!"


@pytest.mark.usefixtures("root_on_path")
async def test_a_function_may_have_a_name_that_is_no_modules(bundle: Path):
    async with talking(bundle) as node:
        node.say(**asked("[id]", path="7"))
        head, end = await node.hear(), await node.hear()
        node.say(**asked("[bad]", path="7"))
        bad, bad_end = await node.hear(), await node.hear()

    assert b64decode(head["data"]) == b'{"id":"7"}'
    assert (bad["status"], end, bad_end) == (500, bad_end, end)
    assert "RuntimeError: at import" in node.logs[-1]["text"]


@pytest.mark.usefixtures("root_on_path")
async def test_a_request_that_is_cut_off_spends_the_process(bundle: Path):
    async with talking(bundle) as node:
        node.say(**asked("slow", timeLeft=0.3))
        head, end = await node.hear(), await node.hear()

    assert (head["status"], end["isSpent"]) == (504, True)


def test_a_module_that_is_already_there_under_the_name_is_not_taken(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    other = bundle / "other" / "functions" / "api"
    other.mkdir(parents=True)
    (other / "hello.py").write_text("OTHER = True\n")
    monkeypatch.syspath_prepend(bundle / "other")

    module = Loader(read_manifest(bundle)).function("hello")

    assert not hasattr(module, "OTHER")
