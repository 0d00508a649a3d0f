"""An evaluation is read back while nothing has changed that decided it, and then only."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.stored_scores import stored_folds, stored_test
from imgcli.config import TrainConfig
from imgcli.photos.dataset import load_dataset
from imgcli.runs import Run
from imgcli.training.cache_keys import evaluation_key
from imgcli.training.pipeline import train_run
from imgcli.training.scoring import score_folds, score_test
from tests.support.photos import write_dataset

CONFIG = TrainConfig.of(arch="8C3-P2", image_size=16, epochs=1, lr=0.01, precision="fp32")
PHOTO = Path("dataset/train/red/00.png")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and a run, evaluated on its test part and by two repeats of folds."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(Path("dataset"))
        run = train_run(CONFIG, Path("dataset"), Path("runs"), "cpu").run
        score_test(run, None, "cpu")
        score_folds(run, None, "train", 3, device="cpu", repeats=2)
    return folder


@pytest.fixture
def run(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """That run, in a copy of the folder."""
    shutil.copytree(evaluated, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return Run(Path("runs", Path("runs/latest").readlink()))


def test_what_is_read_back_is_what_was_scored(run: Run) -> None:
    stored, scored = stored_test(run, None, "cpu"), score_test(run, None, "cpu")
    assert stored is not None and stored.times is None and stored.leaks == scored.leaks
    assert stored.predictions.paths == scored.predictions.paths
    np.testing.assert_array_equal(stored.predictions.probs, scored.predictions.probs)
    folds = stored_folds(run, None, 3, None, "cpu", 2)
    made = score_folds(run, None, "train", 3, device="cpu", repeats=2)
    assert folds is not None and folds.train_confusions is not None and len(folds.repeats) == 1
    np.testing.assert_array_equal(folds.train_confusions, made.train_confusions)
    for one, other in zip(
        (folds.predictions, *folds.repeats), (made.predictions, *made.repeats), strict=True
    ):
        np.testing.assert_array_equal(one.fold, other.fold)
        np.testing.assert_array_equal(one.probs, other.probs)


def other_photo(run: Run) -> None:
    PHOTO.write_bytes(Path("dataset/train/red/01.png").read_bytes())


def other_label(run: Run) -> None:
    PHOTO.rename("dataset/train/blue/00x.png")


def other_choices(run: Run) -> None:
    document = run.read_json("config.json")
    run.write_json("config.json", {**document, "config": {**document["config"], "seed": 1}})


def other_weights(run: Run) -> None:
    path = run.folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")


def other_predictions(run: Run) -> None:
    for path in run.folder.glob("predictions-*.npz"):
        path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    "change", [other_photo, other_label, other_choices, other_weights, other_predictions]
)
def test_nothing_is_read_back_after_a_change(run: Run, change: Callable[[Run], None]) -> None:
    change(run)
    assert stored_test(run, None, "cpu") is None
    assert stored_folds(run, None, 3, None, "cpu", 2) is None


def test_nothing_is_read_back_of_another_evaluation(run: Run) -> None:
    assert stored_test(run, None, "auto") is None
    assert stored_folds(run, None, 4, None, "cpu", 2) is None
    assert stored_folds(run, None, 3, 5, "cpu", 2) is None
    assert stored_folds(run, None, 3, None, "cpu", 1) is None
    assert stored_folds(run, Path("nowhere"), 3, None, "cpu", 2) is None


def test_a_damaged_fold_is_made_again(run: Run) -> None:
    for path in run.folder.glob("folds/*/fold-01.npz"):
        path.write_bytes(path.read_bytes()[:-9])
    assert stored_folds(run, None, 3, None, "cpu", 2) is None


def test_a_score_that_is_not_in_the_ledger_is_not_read_back(run: Run) -> None:
    Path("runs/test-ledger.jsonl").unlink()
    assert stored_test(run, None, "cpu") is None


@pytest.mark.parametrize(
    ("freeze", "asked", "known"),
    [
        (True, ("test",), True),  # the trained network is the run's own
        (False, ("test",), True),
        (True, ("train", 3, 0, 1), True),  # and so is a frozen backbone
        (False, ("train", 3, 0, 1), False),  # the file that it starts from may be another by now
    ],
)
def test_weights_from_elsewhere_matter_where_they_are_read_again(
    run: Run, freeze: bool, asked: tuple[object, ...], known: bool
) -> None:
    config = {"arch": "resnet18", "freeze": freeze, "weights": "elsewhere.safetensors"}
    document = run.read_json("config.json")
    config = {**document["config"], **TrainConfig.of(**config).to_json()}
    run.write_json("config.json", {**document, "config": config})
    assert Run(run.folder).config.model.weights
    dataset = load_dataset(Path("dataset"))
    assert bool(evaluation_key(Run(run.folder), dataset, "cpu", *asked)) == known
