"""What was recorded in this invocation, until whoever asked for it goes on with it."""

from __future__ import annotations

import asyncio


class Answer:
    """
    The place of something just recorded among what is to answer; see `Turns`.

    `turn` is set when it is stored; `late` is what cut off who asked for it, while it was stored.
    """

    __slots__ = ("is_failure", "is_gone", "late", "turn")

    def __init__(self, *, is_failure: bool = False) -> None:
        self.is_failure = is_failure
        self.turn: asyncio.Future[None] | None = None
        self.late: asyncio.CancelledError | None = None
        self.is_gone = False

    @property
    def has_had_turn(self) -> bool:
        """Whether whoever asked for it was let go on."""
        return self.turn is not None and self.turn.done() and not self.turn.cancelled()


AT_ONCE = Answer()
"""The answer to who is alone: it lines up nowhere."""
