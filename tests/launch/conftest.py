"""Users of clusters have tokens of their own."""

from collections.abc import Iterator

import pytest
from local_ray import without_ray


@pytest.fixture(scope="module", autouse=True)
def set_aside() -> Iterator[None]:
    """The session of this process, which holds another token."""
    with without_ray():
        yield
