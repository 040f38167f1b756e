"""Ports: taken, or by whom they are."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.dev.ports import Holder, free_port, holder_of, listen
from kit.model.errors import ConfigError


@pytest.fixture
def taken() -> Iterator[int]:
    sockets = listen(0)
    yield sockets[0].getsockname()[1]
    for each in sockets:
        each.close()


async def test_half_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    nagle: asyncio.Queue[int] = asyncio.Queue()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        nagle.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    first, *others = listen(0)
    for each in others:
        each.close()
    async with await asyncio.start_server(answer, sock=first) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await nagle.get() == 1
        writer.close()
        await writer.wait_closed()


def test_a_port_of_loopback_only_is_listened_at() -> None:
    sockets = listen(0)
    try:
        addresses = [each.getsockname() for each in sockets]
        assert {address[0] for address in addresses} <= {"127.0.0.1", "::1"}
        assert len({address[1] for address in addresses}) == 1
    finally:
        for each in sockets:
            each.close()


def test_a_port_in_use_says_by_whom_and_offers_another(taken: int) -> None:
    with pytest.raises(ConfigError, match=f"port {taken} is in use") as caught:
        listen(taken)
    error = caught.value
    assert error.code == "PORT_IN_USE"
    assert error.details["free"] > taken
    assert f"--port {error.details['free']}" in str(error)
    if sys.platform == "linux":
        assert error.details["pid"] == os.getpid()
        assert f"by process {os.getpid()} (" in str(error)


def test_where_the_system_does_not_tell_nobody_is_named(taken: int, tmp_path: Path) -> None:
    assert holder_of(taken, tmp_path) is None


def test_a_process_is_found_by_its_socket(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    head = "  sl  local_address rem_address st tx rx tr tm retr uid timeout inode\n"
    line = "0: 0100007F:22B8 00000000:0000 0A 0:0 0:0 0 1000 0 4242\n"
    (tmp_path / "net/tcp").write_text(head + line.replace("0A", "01") + line)
    (tmp_path / "77/fd").mkdir(parents=True)
    (tmp_path / "77/fd/3").symlink_to("socket:[4242]")
    (tmp_path / "77/cmdline").write_bytes(b"node\0server.js\0" + b"x" * 100)
    assert holder_of(0x22B8, tmp_path) == Holder(77, "node server.js " + "x" * 64 + "…")
    assert holder_of(1, tmp_path) is None


def test_a_port_that_may_not_be_used_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigError, match="Permission denied"):
        listen(80)
    assert free_port(79) is None
