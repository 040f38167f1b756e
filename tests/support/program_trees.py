"""Programs as trees: what they are made of, and how Hypothesis draws them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st

RERAISED = ("plain", "from", "within", "compensated", "group")


SEQUENTIAL = (
    "act", "act", "plain", "nested", "sleep", "late", "send", "caught", "cut", "again", "flaky"
)  # fmt: skip


LEAVES = (*SEQUENTIAL, "held", "busy")


PLAIN = ("gather", "collect", "group", "completed", "first")


LOCKED = ("locked", "limited", "pooled", "signalled", "turns")


PARALLEL = (*PLAIN, *LOCKED)


LIMIT = 0.003
"""Seconds until a slow step is cut off, or a long sleep."""


DAY = 86_400


@dataclass(frozen=True)
class Node:
    """
    One thing a program does.

    `kind` is one of LEAVES, or one of PARALLEL, which has `parts`, each a sequence. `n` is how
    often, how long, or how.
    """

    kind: str
    n: int = 0
    parts: tuple[tuple[Node, ...], ...] = ()


def leaves() -> st.SearchStrategy[Node]:
    """Return what a program may do at one place."""
    return st.builds(Node, st.sampled_from(LEAVES), st.integers(0, 9))


def sequences(depth: int = 3) -> st.SearchStrategy[tuple[Node, ...]]:
    """Return programs up to *depth* deep."""
    node = leaves()
    if depth:
        parts = st.lists(sequences(depth - 1), min_size=1, max_size=3).map(tuple)
        node = st.one_of(node, node, st.builds(Node, st.sampled_from(PARALLEL), st.just(0), parts))
    return st.lists(node, min_size=1, max_size=3).map(tuple)


def some(generator: random.Random, depth: int = 3) -> tuple[Node, ...]:
    """Return a program of *generator*'s choice, as `sequences` would."""
    nodes = []
    for _ in range(generator.randint(1, 3)):
        if depth and generator.random() < 0.4:
            parts = tuple(some(generator, depth - 1) for _ in range(generator.randint(1, 3)))
            nodes.append(Node(generator.choice(PARALLEL), 0, parts))
        else:
            nodes.append(Node(generator.choice(LEAVES), generator.randint(0, 9)))
    return tuple(nodes)
