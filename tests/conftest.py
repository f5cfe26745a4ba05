"""What all tests share: one Ray for the whole session, one tiny base model, and study files written to order."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import local_ray
import pytest
from filelock import FileLock
from head import head, user
from hypothesis import HealthCheck, settings

__all__ = ["head", "user"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch when it is imported; tests share few cores

# A busy machine is no fault of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

SMALLEST = """\
schema_version: 1
name: smallest
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
recipes:
  - {method: lora}
"""

# A minute and more each: one that began last would leave a core without work. Behind those of clusters, which want a
# process whose Ray session has not begun.
LONG = ("test_formats", "test_trials", "test_viewing", "test_workers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files keep their order, but the long ones begin early."""
    tests = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        if item.path.relative_to(tests).parts[0] <= "cluster":
            return 0
        return 1 if item.path.stem in LONG else 2

    items.sort(key=rank)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A Ray with two CPUs; started once, because a start takes seconds."""
    local_ray.begin()
    yield
    local_ray.end()


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the ladder after 4 seconds of pretraining: with much less, adapters on it learn nothing."""
    from app.plan import LadderSpec
    from app.pretraining.loop import pretrain

    folder = tmp_path_factory.mktemp("bases") / "tiny"
    pretrain(LadderSpec("llama", 32, 2, tokens=200_000), folder)
    return folder


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Text -> a study file in a folder of its own; without a text the smallest study."""

    def write(text: str = SMALLEST, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study of 38 cells."""
    from small_study import STUDY

    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def undisturbed(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which that study was run without any disturbance; made once, however many processes run the tests."""
    return _run_once(small_study, 38, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study of 8 cells."""
    from small_study import TINY

    path = tmp_path_factory.mktemp("study") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_undisturbed(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of that study."""
    return _run_once(tiny_study, 8, tmp_path_factory)


def _run_once(study: Path, cells: int, factory: pytest.TempPathFactory) -> Path:
    from small_study import finish, start

    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    store, done = shared / f"undisturbed-{study.stem}", shared / f"undisturbed-{study.stem}.done"
    with FileLock(f"{store}.lock"):
        if not done.exists():
            process = start(study, store)
            output = finish(process)
            assert process.returncode == 0, output
            assert f"{cells} cells computed, 0 reused, 0 failed" in output
            done.touch()
    return store
