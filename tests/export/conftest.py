"""A run to export: layers of imgcli's own, trained in a moment."""

from pathlib import Path

import pytest

from imgcli.commands.train import train
from tests.support.photos import write_dataset


@pytest.fixture(scope="session")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of three classes and two runs, the latest of them last."""
    folder = tmp_path_factory.mktemp("export")
    write_dataset(folder / "dataset", train=12, test=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for seed in (1, 2):
            train("8C3-P2-16", image_size=16, epochs=2, lr=0.01, seed=seed, precision="fp32")
    return folder


@pytest.fixture
def here(exportable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the current folder."""
    monkeypatch.chdir(exportable)
    return exportable
