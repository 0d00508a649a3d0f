"""Answers by growing shares of the photos, and the features of photos that were judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.errors import DataError, RunError, WrongUsage
from imgcli.learn.curve import SHARES, answers_by_share
from imgcli.learn.neighbours import features_of
from imgcli.learn.stages import score_folds, train_run
from imgcli.records import TrainConfig
from imgcli.workspace import Run
from tests.photo_folders import write_dataset

FROZEN = TrainConfig(
    arch="resnet18", image_size=32, freeze=True, pretrained=False, precision="fp32"
)
LEARNING = TrainConfig(arch="4C3-G", image_size=8, epochs=1, precision="fp32")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_dataset(tmp_path / "dataset")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(config: TrainConfig) -> Run:
    return train_run(config, Path("dataset"), Path("runs"), "cpu").run


def test_every_photo_is_answered_after_every_share_of_the_others(here: Path) -> None:
    found = answers_by_share(trained(FROZEN), None, 3, device="cpu")
    assert found.right.shape == (len(SHARES), 36) and found.classes == ("blue", "green", "red")
    assert found.photos[-1] == 24 and (np.diff(found.photos) >= 0).all()
    assert found.photos[0] == 6  # two of each class, however small the share
    assert found.right[-1].mean() > 0.9  # colours are easy
    assert (np.bincount(found.targets) == 12).all()


def test_a_backbone_that_has_learnt_has_no_learning_curve(here: Path) -> None:
    with pytest.raises(RunError, match=r"has no learning curve: .* imgcli train --arch 4C3-G"):
        answers_by_share(trained(LEARNING), None, 3, device="cpu")


def test_one_fold_is_too_few(here: Path) -> None:
    with pytest.raises(WrongUsage, match="--folds 1 is too few"):
        answers_by_share(trained(FROZEN), None, 1, device="cpu")


def test_features_come_in_the_order_of_the_predictions(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(FROZEN)
    said = score_folds(run, None, "train", 3, device="cpu").predictions

    def no_more(*args: object) -> None:
        raise AssertionError("a photo was looked at again")

    monkeypatch.setattr("imgcli.learn.features.load_pixels", no_more)
    features = features_of(run, said, device="cpu")
    backwards = features_of(run, replace(said, paths=said.paths[::-1]), device="cpu")
    assert features is not None and backwards is not None and features.shape == (36, 512)
    np.testing.assert_array_equal(features, backwards[::-1])


def test_a_backbone_that_has_learnt_gives_no_features(here: Path) -> None:
    run = trained(LEARNING)
    said = score_folds(run, None, "train", 2, device="cpu").predictions
    assert features_of(run, said, device="cpu") is None


def test_predictions_of_another_dataset_are_refused(here: Path) -> None:
    run = trained(FROZEN)
    said = score_folds(run, None, "train", 3, device="cpu").predictions
    other = replace(said, paths=("train/red/gone.png", *said.paths[1:]))
    with pytest.raises(DataError, match=r"'train/red/gone\.png' is not in 'dataset' any more"):
        features_of(run, other, device="cpu")
