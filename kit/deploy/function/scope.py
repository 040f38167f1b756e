"""What an ASGI application is told of a request: its scope, and where in it the function lies."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from kit.deploy.function.protocol import Request


def scope_of(request: Request, mounted_at: str) -> dict[str, Any]:
    """Return the ASGI scope of *request* for an application that is mounted at a path."""
    address = urlsplit(request.url)
    headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in request.headers]
    if all(name != b"host" for name, _ in headers):
        headers.insert(0, (b"host", address.netloc.encode("latin-1")))
    raw = address.path or "/"
    if raw == mounted_at:
        raw += "/"  # an application's own root is "/", which Netlify takes for the same address
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": address.scheme,
        "path": unquote(raw),
        "raw_path": raw.encode("latin-1", "replace"),
        "query_string": address.query.encode("latin-1", "replace"),
        "root_path": unquote(mounted_at),
        "headers": headers,
        "client": (request.client, 0) if request.client else None,
        "server": (address.hostname, address.port or (443 if address.scheme == "https" else 80)),
    }


def mounted_at(request: Request) -> str:
    """Return the part of a request's path that leads to its function."""
    parts = urlsplit(request.url).path.split("/")
    return "/".join(parts[: 2 + len(request.function.split("/"))])


def path_params(request: Request) -> dict[str, str]:
    """Return the values of the path's `[parameters]`: as Netlify found them, else by the path."""
    if request.params:
        return dict(request.params)
    found = urlsplit(request.url).path.split("/")[2:]
    named = zip(request.function.split("/"), found, strict=False)
    return {name[1:-1]: unquote(value) for name, value in named if name[:1] == "["}
