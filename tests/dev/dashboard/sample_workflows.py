"""Workflows with and without a form, and a file that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.dev.runs import (
    WorkflowInfo,
)

DRAFT_SCHEMA: Mapping[str, Any] = {
    "$defs": {
        "Draft": {
            "properties": {
                "title": {"default": "Untitled draft", "title": "Title", "type": "string"}
            },
            "title": "Draft",
            "type": "object",
        }
    },
    "anyOf": [{"$ref": "#/$defs/Draft"}, {"type": "null"}],
}


ORDER_SCHEMA: Mapping[str, Any] = {
    "$defs": {
        "Address": {
            "properties": {
                "street": {"title": "Street", "type": "string"},
                "country": {"enum": ["DE", "FR", "US"], "title": "Country", "type": "string"},
            },
            "required": ["street", "country"],
            "title": "Address",
            "type": "object",
        },
        "Item": {
            "properties": {
                "sku": {"title": "Sku", "type": "string"},
                "count": {"default": 1, "minimum": 1, "title": "Count", "type": "integer"},
            },
            "required": ["sku"],
            "title": "Item",
            "type": "object",
        },
    },
    "properties": {
        "customer": {"description": "Who pays.", "title": "Customer", "type": "string"},
        "total": {"exclusiveMinimum": 0, "title": "Total", "type": "number"},
        "express": {"default": False, "title": "Express", "type": "boolean"},
        "due": {"format": "date", "title": "Due", "type": "string"},
        "address": {"$ref": "#/$defs/Address"},
        "billing": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "default": None},
        "items": {"items": {"$ref": "#/$defs/Item"}, "title": "Items", "type": "array"},
        "tags": {"default": [], "items": {"type": "string"}, "title": "Tags", "type": "array"},
        "meta": {"additionalProperties": True, "default": {}, "title": "Meta", "type": "object"},
    },
    "required": ["customer", "total", "due", "address", "items"],
    "title": "Order",
    "type": "object",
}


_BACKOFF = "5 s, then 20 s more each"


_HERE = "functions/workflows/"


WORKFLOWS = (
    WorkflowInfo(
        "crawl-site",
        _HERE + "crawl_site.py",
        "Read a site, page by page.",
        4,
        _BACKOFF,
        schema={"type": "string", "title": "Url"},
    ),
    WorkflowInfo(
        "daily-report", _HERE + "daily_report.py", "Report what was sold.", 4, _BACKOFF, "2 days"
    ),
    WorkflowInfo(
        "import-orders",
        _HERE + "import_orders.py",
        "Import a file of orders and charge for them.",
        2,
        "5 s, then 20 s",
        "1 hour",
        is_background=True,
        schema=ORDER_SCHEMA,
    ),
    WorkflowInfo(
        "publish-draft",
        _HERE + "publish_draft.py",
        "Keep a draft's title, wait half a minute, and publish it.",
        4,
        _BACKOFF,
        "1 hour",
        schema=DRAFT_SCHEMA,
    ),
    WorkflowInfo("tidy-up", _HERE + "tidy_up.py", retries=4, takes_input=False),
)


BROKEN = WorkflowInfo(
    "send-invoice",
    _HERE + "send_invoice.py",
    retries=4,
    error="functions/workflows/send_invoice.py cannot be imported: '(' was never closed (line 12)",
    traceback="""\
  File "functions/workflows/send_invoice.py", line 12
    await context.step.run("send", send
                          ^
SyntaxError: '(' was never closed
""",
    is_stale=True,
)
