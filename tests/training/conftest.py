"""A working folder with a dataset in it, for what is trained in a moment."""

from pathlib import Path

import pytest

from tests.photo_folders import write_dataset


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with dataset/ in it: 3 classes, 12 photos each to train and 4 to test on."""
    write_dataset(tmp_path / "dataset")
    monkeypatch.chdir(tmp_path)
    return tmp_path
