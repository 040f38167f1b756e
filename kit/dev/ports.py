"""A port of this machine: taken, or by whom it is."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kit.model.errors import ConfigError

LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""

_TRIES = 50


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, and the command it was started with."""

    pid: int
    command: str


def listen(port: int) -> list[socket.socket]:
    """
    Return sockets that listen at *port* on this machine's loopback addresses; 0 chooses one.

    Raises:
        ConfigError: If it is in use, by whom, and which port is free; or may not be used.
    """
    try:
        first = _bound(socket.AF_INET, "127.0.0.1", port)
    except OSError as error:
        raise _refusal(port, error) from None
    sockets = [first]
    with suppress(OSError):  # no IPv6 here, or somebody else has its port: 127.0.0.1 will do
        sockets.append(_bound(socket.AF_INET6, "::1", first.getsockname()[1]))
    return sockets


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # with its protocol named, or asyncio leaves Nagle on, and half an answer waits 40 ms for an ACK
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(2048)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _refusal(port: int, error: OSError) -> ConfigError:
    if error.errno != errno.EADDRINUSE:
        msg = f"port {port} cannot be used: {error.strerror}. Choose another: kit dev --port 8888"
        return ConfigError(msg, details={"port": port})
    holder, other = holder_of(port), free_port(port)
    by = f" by process {holder.pid} ({holder.command})" if holder else ""
    advice = f"; another is free: kit dev --port {other}" if other else ""
    details = {"port": port, "pid": holder.pid if holder else None, "free": other}
    return ConfigError(f"port {port} is in use{by}{advice}", code="PORT_IN_USE", details=details)


def free_port(after: int) -> int | None:
    """Return the next port that nobody has, or None if there is none near."""
    for port in range(after + 1, min(after + _TRIES, 65_536)):
        try:
            _bound(socket.AF_INET, "127.0.0.1", port).close()
        except OSError:
            continue
        return port
    return None


def holder_of(port: int, proc: Path = Path("/proc")) -> Holder | None:
    """Return the process that listens at *port*, where the system tells: Linux, of one's own."""
    inodes = {inode for name in ("tcp", "tcp6") for inode in _listening(proc / "net" / name, port)}
    if not inodes:
        return None
    links = {f"socket:[{inode}]" for inode in inodes}
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):
            if any(str(each.readlink()) in links for each in (folder / "fd").iterdir()):
                return Holder(int(folder.name), _command(folder))
    return None


def _listening(table: Path, port: int) -> Iterator[str]:
    """Yield the inodes of sockets that listen at *port*, from a table of the kernel's."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _command(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    text = b" ".join(words).decode(errors="replace")
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return f"{plain[:79]}…" if len(plain) > 80 else plain or "its name is hidden"
