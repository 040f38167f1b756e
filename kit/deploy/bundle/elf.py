"""
Reads of a Linux binary what it needs to be loaded: libraries, and versions of their symbols.

Goes by the program headers, which every loadable binary has, and needs no tool of the system, so
that a bundle is judged the same on every machine. Only 64-bit little-endian files are read; any
other binary could not run there anyway.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"\x7fELF"
X86_64 = 62
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_VERNEED, _DT_VERNEEDNUM = 1, 5, 0x6FFFFFFE, 0x6FFFFFFF
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Binary:
    """What one binary needs: `machine` is ELF's number, `libraries` names, `versions` symbols'."""

    machine: int
    libraries: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def glibc(self) -> tuple[int, int]:
        """The oldest glibc that has all it needs; (0, 0) if it needs none."""
        found = (_GLIBC.fullmatch(version) for version in self.versions)
        return max(((int(each[1]), int(each[2])) for each in found if each), default=(0, 0))


def read_binary(path: Path) -> Binary | None:
    """Return what the file needs, or None if it is no binary of Linux."""
    with path.open("rb") as stream:
        if stream.read(4) != MAGIC:
            return None
        content = MAGIC + stream.read()
    return parse(content)


def parse(content: bytes) -> Binary:
    """Return what an ELF file says; of one that is damaged or foreign, its machine only."""
    if len(content) < 64 or content[4:6] != b"\x02\x01":
        return Binary(0)
    (machine,) = struct.unpack_from("<H", content, 18)
    try:
        return _Reader(content).binary(machine)
    except (struct.error, IndexError):
        return Binary(machine)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        (offset,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        headers = [offset + size * index for index in range(count)]
        self.segments = [struct.unpack_from("<IIQQQQ", content, at) for at in headers]

    def binary(self, machine: int) -> Binary:
        tags = list(self._dynamic())
        table = dict(tags)
        if _DT_STRTAB not in table:
            return Binary(machine)
        names = self._offset(table[_DT_STRTAB])
        needed = tuple(self._text(names + value) for tag, value in tags if tag == _DT_NEEDED)
        versions = tuple(self._versions(table, names))
        return Binary(machine, needed, versions)

    def _dynamic(self) -> Iterator[tuple[int, int]]:
        for kind, _, offset, _, _, size in self.segments:
            for at in range(offset, offset + size if kind == _PT_DYNAMIC else offset, 16):
                tag, value = struct.unpack_from("<QQ", self.content, at)
                if tag == 0:
                    return
                yield tag, value

    def _versions(self, table: dict[int, int], names: int) -> Iterator[str]:
        if _DT_VERNEED not in table:
            return
        at = self._offset(table[_DT_VERNEED])
        for _ in range(table.get(_DT_VERNEEDNUM, 0)):
            _, count, _, first, following = struct.unpack_from("<HHIII", self.content, at)
            one = at + first
            for _ in range(count):
                _, _, _, name, step = struct.unpack_from("<IHHII", self.content, one)
                yield self._text(names + name)
                one += step
            at += following

    def _offset(self, address: int) -> int:
        """Return where in the file *address* is."""
        for kind, _, offset, start, _, size in self.segments:
            if kind == _PT_LOAD and start <= address < start + size:
                return int(offset + address - start)
        raise IndexError

    def _text(self, at: int) -> str:
        return self.content[at : self.content.index(b"\0", at)].decode("ascii", "replace")
