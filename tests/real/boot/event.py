"""A request as Netlify hands it to a function's generated entry."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

ORIGIN = "https://site.example"
_SITE = {
    "x-nf-account-id": "account",
    "x-nf-client-connection-ip": "203.0.113.7",
    "x-nf-deploy-context": "production",
    "x-nf-deploy-id": "deploy",
    "x-nf-deploy-published": "1",
    "x-nf-request-id": "request",
    "x-nf-site-id": "site",
}


def make_event(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    blobs: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Return a request as Netlify hands it to a function's generated entry."""
    sites = dict(_SITE)
    event: dict[str, Any] = {}
    if blobs:
        sites |= {"x-nf-site-id": blobs["siteID"], "x-nf-deploy-id": blobs["deployID"]}
        context = {
            "url": blobs["edgeURL"],
            "url_uncached": blobs["uncachedEdgeURL"],
            "token": blobs["token"],
            "primary_region": blobs["primaryRegion"],
        }
        event["blobs"] = base64.b64encode(json.dumps(context).encode()).decode()
    return {
        **event,
        "rawUrl": path if "://" in path else ORIGIN + path,
        "httpMethod": method,
        "headers": {**sites, **{name.lower(): value for name, value in headers.items()}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "flags": {},
        "invocationMetadata": {"function_name": "function", "branch": "main"},
    }
