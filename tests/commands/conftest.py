"""A run to evaluate, for all tests of commands that need one."""

from pathlib import Path

import pytest

from imgcli.commands.train import train
from tests.photo_folders import write_dataset


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of two classes, 12 photos each to train on, and a run."""
    folder = tmp_path_factory.mktemp("commands")
    write_dataset(folder / "dataset", train=12, test=4, classes=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train("resnet18", freeze=True, pretrained=False, image_size=32, precision="fp32")
    return folder


@pytest.fixture
def run(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's name, from the folder in which it is the latest."""
    monkeypatch.chdir(trained_folder)
    return Path("runs/latest").readlink()
