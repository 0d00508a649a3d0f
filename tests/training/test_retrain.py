"""A run's folds once more with merged classes, through the same folds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.config import TrainConfig
from imgcli.errors import RunError
from imgcli.latest_run import finish_run
from imgcli.records import Predictions
from imgcli.runs import Run, new_run
from imgcli.training.retrain import relabelled, retrained
from imgcli.training.scoring import score_folds
from tests.support.photos import write_dataset
from tests.support.trained_runs import FROZEN, trained


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Predictions]:
    """A frozen run with folds, and blue photos of which a half is called violet."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", train=12, test=2)
    for i, photo in enumerate(sorted((tmp_path / "dataset/train/blue").iterdir())):
        if i % 2:
            (tmp_path / "dataset/train/violet").mkdir(exist_ok=True)
            photo.rename(tmp_path / "dataset/train/violet" / photo.name)
    run = trained(FROZEN)
    return run, score_folds(run, None, "train", 3).predictions


def test_merged_labels_go_through_the_same_folds(judged: tuple[Run, Predictions]) -> None:
    run, before = judged
    assert before.classes == ("blue", "green", "red", "violet")
    blue, colours = retrained(run, None, before, [("blue", "violet"), ("blue", "green", "red")])
    assert blue.classes == ("blue", "green", "red") and colours.classes == ("blue", "violet")
    for after in (blue, colours):
        assert after.paths == before.paths and after.on == before.on
        np.testing.assert_array_equal(after.fold, before.fold)
    np.testing.assert_array_equal(blue.targets, np.where(before.targets == 3, 0, before.targets))
    right = blue.preds == blue.targets
    assert right.mean() > (before.preds == before.targets).mean()


def test_a_fold_chooses_all_by_itself_as_it_did_before_the_merge(
    judged: tuple[Run, Predictions],
) -> None:
    run, before = judged
    (same,) = retrained(run, None, before, [("blue",)])  # nothing is merged
    np.testing.assert_allclose(same.probs, before.probs, atol=1e-5)
    model = run.read_json("model.json")
    run.write_json("model.json", {**model, "chosen": {**model["chosen"], "weight_decay": 3.0}})
    (again,) = retrained(run, None, before, [("blue",)])
    np.testing.assert_array_equal(again.probs, same.probs)


def test_corrected_labels_go_through_the_same_folds(judged: tuple[Run, Predictions]) -> None:
    run, before = judged
    violet = before.classes.index("violet")
    rows = before.indices[before.targets == violet].tolist()
    after = relabelled(run, None, before, dict.fromkeys(rows, "blue"))
    assert after.paths == before.paths and after.classes == before.classes
    np.testing.assert_array_equal(after.fold, before.fold)
    np.testing.assert_array_equal(
        after.targets, np.where(before.targets == violet, 0, before.targets)
    )
    assert (after.preds != violet).all() and (before.preds == violet).any()
    same = relabelled(run, None, before, {})
    np.testing.assert_allclose(same.probs, before.probs, atol=1e-5)


def test_other_photos_are_refused(judged: tuple[Run, Predictions], tmp_path: Path) -> None:
    run, before = judged
    extra = tmp_path / "dataset/train/green/zz.png"
    Image.new("RGB", (24, 24), (9, 200, 9)).save(extra)
    (tmp_path / "dataset/train/green/00.png").unlink(missing_ok=True)
    with pytest.raises(RunError, match="does not hold the photos that the folds of"):
        list(retrained(run, None, before, [("blue", "violet")]))


def test_a_run_that_trained_its_backbone_says_how_long_it_would_take(
    judged: tuple[Run, Predictions], tmp_path: Path
) -> None:
    _, before = judged
    run = new_run(tmp_path / "runs", TrainConfig.of(arch="alexnet"), Path("dataset"))
    finish_run(run, {"seconds": 100.0})
    with pytest.raises(RunError, match="3 folds for each of 2 merges would take about 10 min"):
        list(retrained(run, None, before, [("blue", "violet"), ("green", "red")]))
