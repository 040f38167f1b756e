"""What functions are given once deployed, by a plain one: zipped by Netlify's bundler, started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real import boot

HERE = Path(__file__).parent
needs_walls = pytest.mark.skipif(bool(boot.why_not_isolated()), reason=boot.why_not_isolated())

PLAIN = """
import { existsSync, readdirSync, writeFileSync } from "node:fs";

const attempt = (work) => { try { work(); return "done"; } catch (error) { return error.code; } };

const answers = {
  echo: async (request, context) => Response.json({
    method: request.method, url: request.url, body: await request.text(),
    header: request.headers.get("x-given"), deploy: context.deploy.id, ip: context.ip,
  }),
  stream: () => new Response(new ReadableStream({
    async start(controller) {
      for (const piece of ["one", "two"]) {
        controller.enqueue(new TextEncoder().encode(piece));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      controller.close();
    },
  })),
  nothing: () => new Response(null, { status: 204, headers: [["x-two", "a"], ["x-two", "b"]] }),
  throw: () => { throw new RangeError("on purpose"); },
  breakOff: () => new Response(new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("a part")),
    pull: () => { throw new RangeError("on purpose"); },
  })),
  exit: () => process.exit(3),
  see: () => Response.json({
    pid: process.pid, uid: process.getuid(), root: readdirSync("/"),
    seen: process.env.SEEK.split(":").filter(existsSync),
    task: attempt(() => writeFileSync(`${process.env.LAMBDA_TASK_ROOT}/new`, "")),
    tmp: attempt(() => writeFileSync("/tmp/new", "")),
  }),
};

console.log("imported");
export default (request, context) => {
  const { pathname } = new URL(request.url);
  return answers[pathname.slice(1)](request, context);
};
"""


BAD = "throw new Error('at import'); export default () => {};"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Functions in plain JavaScript, zipped and unpacked, by name."""
    project = tmp_path_factory.mktemp("plain")
    (project / "package.json").write_text('{"type": "module"}')
    (project / "functions").mkdir()
    for name, text in {"hello": PLAIN, "bad": BAD}.items():
        (project / "functions" / f"{name}.mjs").write_text(text)
    files = sorted((project / "functions").iterdir())
    zips = boot.zip_functions(project, project / "zips", files)
    return {name: boot.unpack(file, project / "tasks" / name) for name, file in zips.items()}


@pytest.fixture
def hello(tasks: dict[str, Path], jail: Any) -> Iterator[Any]:
    with boot.Booted(
        tasks["hello"], jail, env={"SEEK": f"{HERE}:{sys.executable}:/usr/bin"}
    ) as booted:
        yield booted


def test_a_plain_function_gets_a_request_and_answers_it(hello: Any):
    answer = hello.invoke("POST", "/echo?a=1", {"X-Given": "value"}, "Grüße".encode())

    assert (answer.status, answer.error) == (200, None)
    assert answer.headers["content-type"] == ["application/json"]
    assert answer.json() == {
        "method": "POST",
        "url": "https://site.example/echo?a=1",
        "body": "Grüße",
        "header": "value",
        "deploy": "deploy",
        "ip": "203.0.113.7",
    }
    assert 0 < answer.took < hello.cold_ms == answer.up
    assert hello.log == "imported\n"


def test_a_body_comes_piece_by_piece(hello: Any):
    answer = hello.invoke(path="/stream")

    moments = {data: moment for moment, data in answer.chunks}
    assert answer.body == b"onetwo"
    assert moments[b"two"] > moments[b"one"]  # else they were one piece


def test_an_answer_may_have_no_body_and_a_header_twice(hello: Any):
    answer = hello.invoke(path="/nothing")

    assert (answer.status, answer.body, answer.headers["x-two"]) == (204, b"", ["a, b"])


def test_a_function_that_throws_fails_and_goes_on(hello: Any):
    failed = hello.invoke(path="/throw")
    broken = hello.invoke(path="/breakOff")

    assert failed.status == 502
    assert failed.error == {"errorType": "RangeError", "errorMessage": "on purpose"}
    assert broken.status == 502
    assert b"a part".startswith(broken.body)  # what had not gone out by then may be lost
    assert hello.invoke(path="/echo").status == 200


def test_a_process_that_ends_is_told_of(hello: Any):
    assert "ended with 3" in hello.invoke(path="/exit").error["errorMessage"]
    assert hello.invoke(path="/echo").status == 502


def test_a_function_that_cannot_be_imported_fails_when_it_is_called(
    tasks: dict[str, Path], jail: Any
):
    with boot.Booted(tasks["bad"], jail) as booted:
        assert booted.invoke().error["errorMessage"] == "at import"


@needs_walls
def test_there_is_nothing_but_the_function_and_node(hello: Any):
    seen = hello.invoke(path="/see").json()

    assert (seen["seen"], seen["task"], seen["tmp"]) == ([], "EROFS", "done")
    assert not {"home", "root", "usr", "work"} & set(seen["root"])
    assert seen["pid"] == hello.pid
    if os.geteuid() == 0:
        assert seen["uid"] == 993
