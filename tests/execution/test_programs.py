"""Random programs come to the same in every mode, however often they are interrupted."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.comparing import compare
from tests.support.examples import examples
from tests.support.program_trees import Node, sequences


@pytest.mark.timeout(600)  # two hundred of them, on a machine that may be busy
@settings(max_examples=examples(200), suppress_health_check=list(HealthCheck))
@given(sequences(1), st.integers(0, 2**32))
def test_a_program_comes_to_the_same_in_every_mode(nodes: tuple[Node, ...], seed: int) -> None:
    asyncio.run(compare(nodes, random.Random(seed)))


@pytest.mark.parametrize("seed", range(8))
def test_so_does_one_that_lies_deep(seed: int) -> None:
    from tests.support.program_trees import some

    generator = random.Random(seed)
    asyncio.run(compare(some(generator, 2), generator))
