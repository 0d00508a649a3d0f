"""A run's folds once more with merged classes, through the same folds."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli import workspace
from imgcli.errors import RunError
from imgcli.learn.fit import fit_all
from imgcli.learn.jobs import Fitted, Job
from imgcli.learn.retrain import retrained
from imgcli.learn.stages import score_folds, train_run
from imgcli.learn.task import Task
from imgcli.records import Predictions, TrainConfig
from imgcli.workspace import Run
from tests.photo_folders import write_dataset


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Predictions]:
    """A frozen run with folds, and blue photos of which a half is called violet."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", train=12, test=2)
    for i, photo in enumerate(sorted((tmp_path / "dataset/train/blue").iterdir())):
        if i % 2:
            (tmp_path / "dataset/train/violet").mkdir(exist_ok=True)
            photo.rename(tmp_path / "dataset/train/violet" / photo.name)
    config = TrainConfig("resnet18", freeze=True, pretrained=False, image_size=32, precision="fp32")
    run = train_run(config, Path("dataset"), Path("runs")).run
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


def test_the_regularisation_is_the_runs_and_each_head_is_blind_to_what_it_judges(
    judged: tuple[Run, Predictions], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before = judged
    seen: list[tuple[float, list[int]]] = []

    def watched(task: Task, jobs: Sequence[Job]) -> Iterator[Fitted]:
        for fitted in fit_all(task, jobs):
            seen.append((task.config.weight_decay or 0.0, fitted.learnt.tolist()))
            yield fitted

    monkeypatch.setattr("imgcli.learn.retrain.fit_all", watched)
    list(retrained(run, None, before, [("blue", "violet")]))
    chosen = run.read_json("model.json")["chosen"]["weight_decay"]
    assert [strength for strength, _ in seen] == [chosen] * 3
    for fold, (_, learnt) in enumerate(seen):
        assert learnt == before.indices[before.fold != fold].tolist()


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
    run = workspace.new_run(tmp_path / "runs", TrainConfig("alexnet"), Path("dataset"))
    workspace.finish_run(run, {"seconds": 100.0})
    with pytest.raises(RunError, match="3 folds for each of 2 merges would take about 10 min"):
        list(retrained(run, None, before, [("blue", "violet"), ("green", "red")]))
