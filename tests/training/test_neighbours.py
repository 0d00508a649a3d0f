"""The features of photos that were judged: in their order, and only where they are the run's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.config import TrainConfig
from imgcli.errors import DataError
from imgcli.training.features import features_of
from imgcli.training.scoring import score_folds
from tests.support.trained_runs import FROZEN, trained

LEARNING = TrainConfig.of(arch="4C3-G", image_size=8, epochs=1, precision="fp32")


def test_features_come_in_the_order_of_the_predictions(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(FROZEN)
    said = score_folds(run, None, "train", 3, device="cpu").predictions

    def no_more(*args: object) -> None:
        raise AssertionError("a photo was decoded again")

    monkeypatch.setattr("imgcli.training.features.load_pixels", no_more)
    features = features_of(run, said, device="cpu")
    backwards = features_of(run, said.at(np.arange(len(said))[::-1]), device="cpu")
    assert features is not None and backwards is not None and features.shape == (36, 96)
    np.testing.assert_array_equal(features, backwards[::-1])


def test_a_trained_backbone_gives_no_features(here: Path) -> None:
    run = trained(LEARNING)
    said = score_folds(run, None, "train", 2, device="cpu").predictions
    assert features_of(run, said, device="cpu") is None


def test_predictions_of_another_dataset_are_refused(here: Path) -> None:
    run = trained(FROZEN)
    said = score_folds(run, None, "train", 3, device="cpu").predictions
    other = replace(said, paths=("train/red/gone.png", *said.paths[1:]))
    with pytest.raises(DataError, match=r"'train/red/gone\.png' is not in 'dataset' any more"):
        features_of(run, other, device="cpu")
