"""Answers by networks that learn from growing shares of the photos."""

from pathlib import Path

import numpy as np
import pytest

from imgcli.config import TrainConfig
from imgcli.errors import RunError, WrongUsage
from imgcli.training.learning_curve import SHARES, answers_by_share
from tests.support.trained_runs import FROZEN, trained

LEARNING = TrainConfig.of(arch="4C3-G", image_size=8, epochs=1, precision="fp32")


def test_every_photo_is_predicted_after_every_share_of_the_others(here: Path) -> None:
    found = answers_by_share(trained(FROZEN), None, 3, device="cpu")
    assert found.right.shape == (len(SHARES), 36) and found.classes == ("blue", "green", "red")
    assert found.photos[-1] == 24 and (np.diff(found.photos) >= 0).all()
    assert found.photos[0] == 6  # two of each class, however small the share
    assert found.right[-1].mean() > 0.9  # colours are easy
    assert (np.bincount(found.targets) == 12).all()


def test_a_trained_backbone_has_no_learning_curve(here: Path) -> None:
    with pytest.raises(RunError, match=r"has no learning curve: .* imgcli train --arch 4C3-G"):
        answers_by_share(trained(LEARNING), None, 3, device="cpu")


def test_one_fold_is_too_few(here: Path) -> None:
    with pytest.raises(WrongUsage, match="--folds 1 is too few"):
        answers_by_share(trained(FROZEN), None, 1, device="cpu")
