"""Bodies of requests and responses, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from kit.deploy.function import exchange as exchange_module
from kit.deploy.function.exchange import Exchange
from kit.deploy.function.protocol import Body, Gone, Took
from tests.support.http_function import Answered, begin, request


async def test_a_body_waits_until_enough_was_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange_module, "PIECE", 10)
    answered = Answered(request())
    await begin(answered.exchange.say)
    body = {"type": "http.response.body", "body": b"x" * 500}
    writing = asyncio.create_task(answered.exchange.say(body))

    await asyncio.sleep(0.01)
    assert len(answered.frames) == exchange_module.WINDOW
    answered.exchange.receive(Took(1))
    await asyncio.sleep(0.01)
    assert len(answered.frames) == exchange_module.WINDOW + 1
    answered.exchange.receive(Gone(1))  # nobody reads any more: nobody need wait
    await writing

    assert answered.exchange.ended


async def test_a_large_body_is_not_copied_again_for_each_piece(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange_module, "PIECE", 4_096)
    taken = 0

    def take(frame: Mapping[str, Any]) -> None:
        nonlocal taken
        taken += len(frame["data"])
        exchange.receive(Took(1))

    exchange = Exchange(request(), take)
    await begin(exchange.say)
    # 16,384 pieces: if each copied the rest, these were 500 GB
    await exchange.say({"type": "http.response.body", "body": bytes(64 * 2**20)})

    assert taken >= 64 * 2**20 * 4 / 3


async def test_a_request_body_arrives_piece_by_piece():
    answered = Answered(request("POST", has_body=True))
    asked = answered.exchange
    first = asyncio.create_task(asked.ask())
    await asyncio.sleep(0)
    asked.receive(Body(1, b"one"))
    asked.receive(Body(1, b"two"))

    assert await first == {"type": "http.request", "body": b"one", "more_body": True}
    asked.receive(Body(1, is_last=True))
    assert await asked.ask() == {"type": "http.request", "body": b"two", "more_body": False}
    assert answered.frames == [{"type": "took", "call": 1}] * 2
    asked.receive(Gone(1))
    assert await asked.ask() == {"type": "http.disconnect"}


async def test_an_empty_body_is_asked_for_once():
    asked = Answered(request()).exchange

    assert await asked.ask() == {"type": "http.request", "body": b"", "more_body": False}
    waiting = asyncio.create_task(asked.ask())
    await begin(asked.say)
    await asked.say({"type": "http.response.body"})
    assert await waiting == {"type": "http.disconnect"}
