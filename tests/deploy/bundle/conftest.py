"""What a compiler would have made, for tests of what Netlify's machines can load."""

from collections.abc import Callable

import pytest

from tests.support.binaries import binary


@pytest.fixture
def make_binary() -> Callable[..., bytes]:
    return binary
