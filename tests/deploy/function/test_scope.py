"""What an application is told of a request: where it is mounted, and what ASGI wants."""

from __future__ import annotations

import pytest

from kit.deploy.function.scope import mounted_at, path_params, scope_of
from tests.support.http_function import request


@pytest.mark.parametrize(
    ("function", "path", "mount"),
    [
        ("thing", "/api/thing", "/api/thing"),
        ("thing", "/api/thing/a/b", "/api/thing"),
        ("shop/[id]", "/api/shop/7/a", "/api/shop/7"),
    ],
)
def test_an_application_is_mounted_where_its_function_is(function: str, path: str, mount: str):
    asked = request(url=f"https://shop.example{path}", function=function)

    assert mounted_at(asked) == mount


def test_parameters_come_from_the_platform_or_the_path():
    url = "https://shop.example/api/shop/a%20b/x"

    assert path_params(request(url=url, function="shop/[id]/[what]")) == {"id": "a b", "what": "x"}
    assert path_params(request(url=url, function="shop/[id]", params={"id": "7"})) == {"id": "7"}


def test_a_scope_says_what_asgi_wants():
    asked = request(
        "POST", "http://shop.example:81/api/thing?a=%20", headers=(("X-One", "é"),), client=None
    )

    assert scope_of(asked, "/api/thing") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/thing/",
        "raw_path": b"/api/thing/",
        "query_string": b"a=%20",
        "root_path": "/api/thing",
        "headers": [(b"host", b"shop.example:81"), (b"x-one", b"\xe9")],
        "client": None,
        "server": ("shop.example", 81),
    }
