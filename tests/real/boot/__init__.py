"""
Functions as they run once deployed, on this machine.

A project is built (`bundle`), its functions zipped with Netlify's own bundler and unpacked; each is
started in a root of its own, read-only and with no Python (`jail`), by a stand-in for Lambda's part
(`boot.mjs`) that gets its invocations from a Runtime API on loopback (`runtime_api`). `Booted` in
`boot` holds it all together; `engine` puts the real Async Workloads before it.
"""

from .boot import Answer, Booted
from .bundle import build, cpython_downloads, give_packages, init, unpack, zip_functions
from .engine import blobs_of, delivery, make_rig, open_rig, send
from .jail import Jail, why_not_isolated

__all__ = [
    "Answer",
    "Booted",
    "Jail",
    "blobs_of",
    "build",
    "cpython_downloads",
    "delivery",
    "give_packages",
    "init",
    "make_rig",
    "open_rig",
    "send",
    "unpack",
    "why_not_isolated",
    "zip_functions",
]
