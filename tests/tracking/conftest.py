"""A working folder with a dataset in it."""

from pathlib import Path

import pytest

from tests.support.photos import write_dataset


@pytest.fixture
def here(here: Path) -> Path:
    """A working folder with dataset/ in it: 3 classes, 12 photos each to train and 4 to test on."""
    write_dataset(here / "dataset")
    return here
