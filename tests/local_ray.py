"""The one Ray session of the tests' own process: started once, and set aside where a test needs one of its own."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

_HELD = ExitStack()


def begin() -> None:
    """Start it, with two CPUs."""
    from app.launch.session import session

    _HELD.enter_context(session(cpus=2))


def end() -> None:
    """End it."""
    _HELD.close()


@contextmanager
def without_ray() -> Generator[None]:
    """No session in this process for the block: its token, too, is another's while tests play users."""
    import ray

    before = ray.is_initialized()
    end()
    yield
    if before:
        begin()
