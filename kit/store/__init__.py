"""Where local runs live: one SQLite file, written by one thread that commits what has gathered."""

from kit.store.lease import Lease
from kit.store.reader import Reader
from kit.store.runs import RunStore

__all__ = ["Lease", "Reader", "RunStore"]
