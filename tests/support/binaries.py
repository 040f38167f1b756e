"""ELF files as a compiler would make them, with just what the kit reads of one."""

import struct


def binary(
    versions: tuple[str, ...] = (), libraries: tuple[str, ...] = (), machine: int = 62
) -> bytes:
    """Return an ELF file that needs *libraries*, and *versions* of symbols of the first one."""
    texts = b"\0"
    places: dict[str, int] = {}
    for text in (*libraries, *versions):
        places[text] = len(texts)
        texts += text.encode() + b"\0"
    base, names = 0x1000, 64 + 2 * 56
    needs_at = names + len(texts)
    needs = struct.pack("<HHIII", 1, len(versions), places.get("libc.so.6", 0), 16, 0)
    for index, text in enumerate(versions):
        following = 16 if index + 1 < len(versions) else 0
        needs += struct.pack("<IHHII", 0, 0, 0, places[text], following)
    dynamic_at = needs_at + len(needs)
    tags = [(1, places[name]) for name in libraries] + [(5, base + names)]
    if versions:
        tags += [(0x6FFFFFFE, base + needs_at), (0x6FFFFFFF, 1)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in (*tags, (0, 0)))
    size = dynamic_at + len(dynamic)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    what = struct.pack(
        "<IIQQQQQQ", 2, 6, dynamic_at, base + dynamic_at, 0, len(dynamic), len(dynamic), 8
    )
    return header + load + what + texts + needs + dynamic
