"""A run to evaluate, and the document that a command prints."""

from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.train import train
from tests.support.photos import write_dataset
from tests.support.shell import Printed, Shell


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


@pytest.fixture
def printed(shell: Shell) -> Printed:
    """Type `imgcli WORDS... --json`; gives the document. The API before it has printed nothing."""

    def type_it(*words: str) -> dict[str, Any]:
        assert shell.capsys.readouterr().out == ""
        return shell.json(*words)

    return type_it
