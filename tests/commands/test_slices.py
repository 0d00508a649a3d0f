"""The slices that a run fails on, with the photos and the features that are there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.slices import slices_of
from imgcli.records import Predictions
from imgcli.runs import Run
from imgcli.training.scoring import score_folds
from tests.support.photos import write_dataset
from tests.support.predictions import sure
from tests.support.runs import evaluated_run, judged
from tests.support.trained_runs import FROZEN, trained


@pytest.fixture
def two_kinds(here: Path) -> tuple[Run, Predictions]:
    """A frozen run; "blue" holds red photos too, and these are wrong three times of four."""
    write_dataset(here / "dataset", train=24, test=2)
    for photo in sorted((here / "dataset/train/red").iterdir()):
        photo.rename(here / "dataset/train/blue" / f"red-{photo.name}")
    run = trained(FROZEN)
    found = score_folds(run, None, "train", 3).predictions
    red = np.array(["red-" in path for path in found.paths])
    wrong = red & (np.arange(len(red)) % 4 > 0)
    said = np.where(wrong, found.classes.index("green"), found.targets)
    return run, replace(found, probs=sure(said, len(found.classes)))


def test_a_kind_of_photos_in_a_class_is_named_with_its_mistakes(
    two_kinds: tuple[Run, Predictions],
) -> None:
    run, predictions = two_kinds
    found = slices_of(run, Path("dataset"), predictions)
    assert found is not None
    (cluster,) = (one for one in found if one["attribute"] == "cluster")
    assert cluster["value"] in ("1 of 2 in 'blue'", "2 of 2 in 'blue'") and cluster["n"] == 24
    assert len(cluster["wrong"]) == 6 and all("red-" in path for path in cluster["wrong"])
    assert cluster["sentence"].startswith(
        f"Cluster {cluster['value']} (24 photos): accuracy 25.0 %"
    )


def test_without_the_photos_none_are_looked_for(here: Path) -> None:
    some = replace(judged(6, k=3), digests=("0" * 64,) * 60)
    run = evaluated_run(here / "runs", some)
    assert slices_of(run, Path("elsewhere"), some) is None
    assert slices_of(run, here, judged(6, k=3)) is None  # of unknown photos
