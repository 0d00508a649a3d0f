"""Photos made in code, and the real ones where they are at hand."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from imgcli import progress
from imgcli.report.plots import style
from tests.support import rendering
from tests.support.runs import write_twins
from tests.support.shell import Shell

# Tests run side by side, where a second thread of torch would only wait for theirs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No check here is about time, and a busy machine may be slow.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Before any module takes it by its name.
style.save = rendering.save

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"


# Files that take longest on two cores, longest first. They are begun first, lest one be left over
# while nobody else has anything to do. Those with clusters wait much, and have others between them.
LONG = """
    compute/test_cluster_trainings
    commands/test_choose
    compute/test_cluster
    test_house
    cli/test_demo
    cli/test_offline
    compute/test_team
    training/test_training_kills
    collect/test_scraping_politely
    tracking/test_mlflow
    training/tuning/test_search
    tracking/test_wandb
    training/test_pipeline
    cli/test_damaged_files
    commands/test_explain_mistakes
""".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; the others as they are named."""
    places = {TESTS / f"{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture
def shared() -> Path:
    """The folder of real photos and weights beside the project; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real photos and weights at {SHARED}")
    return SHARED


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory, where there is such a place.

    A kill loses nothing more there, and nobody waits for a disk to sync.
    """
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def no_disk_is_waited_for() -> Iterator[None]:
    """What is synced to the disk is only looked at: no test takes the power away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which refuses the same descriptors
        yield


@pytest.fixture
def rendered() -> Iterator[None]:
    """Figures are rendered: for tests of what is in their files."""
    with rendering.rendering():
        yield


@pytest.fixture(autouse=True)
def as_a_command_begins() -> Iterator[None]:
    """Notes are shown, and none has been shown before."""
    with progress.quietly(False):
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one, and a terminal of 100 columns.

    No published weights are in the cache, whatever the machine has, so that hints are the same.
    """
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no hub"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Types commands and gives what they print."""
    return Shell(capsys)


@pytest.fixture
def run_with_twins(here: Path) -> None:
    """A run in the current folder, two of whose classes are the same."""
    write_twins(here)
