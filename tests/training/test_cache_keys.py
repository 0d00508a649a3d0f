"""A stored number is shown again only where everything that decided it is still the same."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imgcli.models.network import Classifier, Network
from imgcli.photos.dataset import load_dataset
from imgcli.records import Preprocess
from imgcli.runs import Run
from imgcli.training.cache_keys import changed_photos, photos_key
from imgcli.training.features import frozen_features
from imgcli.training.pipeline import train_run
from imgcli.training.scoring import score_folds, score_test
from tests.support.processor import needs_bf16
from tests.support.trained_runs import FROZEN


def swap(one: Path, other: Path) -> None:
    one.rename("aside")
    other.rename(one)
    Path("aside").rename(other)


def swap_labels(run: Run) -> None:
    """Two test photos change places, under the names that were there."""
    swap(Path("dataset/test/red/12.png"), Path("dataset/test/blue/12.png"))


def swap_class_names(run: Run) -> None:
    for part in ("train", "test"):
        swap(Path(f"dataset/{part}/red"), Path(f"dataset/{part}/blue"))


def change_document(run: Run, name: str, **changes: object) -> None:
    run.write_json(name, {**run.read_json(name), **changes})


def change_weights(run: Run, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(run.folder / "model.safetensors")
    change(weights)
    save_file(weights, run.folder / "model.safetensors")
    change_document(run, "model.json", files={})


def other_preprocessing(run: Run) -> None:
    preprocess = run.read_json("model.json")["preprocess"]
    change_document(run, "model.json", preprocess={**preprocess, "mean": [0.1, 0.2, 0.3]})


def mirrored(run: Run) -> None:
    preprocess = run.read_json("model.json")["preprocess"]
    change_document(run, "model.json", preprocess={**preprocess, "test_flip": True})


def other_precision(run: Run) -> None:
    config = run.read_json("config.json")["config"]
    change_document(run, "config.json", config={**config, "precision": "bf16"})


def other_weights(run: Run) -> None:
    change_weights(run, lambda weights: weights.update({"fc.weight": -weights["fc.weight"]}))


@pytest.mark.parametrize(
    "change",
    [
        *(swap_labels, swap_class_names, other_preprocessing, mirrored, other_weights),
        pytest.param(other_precision, marks=needs_bf16),
    ],
)
def test_the_test_part_is_scored_again_when_what_decides_the_score_has_changed(
    here: Path, change: Callable[[Run], None]
) -> None:
    run = train_run(FROZEN, Path("dataset"), Path("runs"), "cpu").run
    before = score_test(run, None, "cpu")
    assert score_test(run, None, "cpu").times is None
    change(run)
    after = score_test(run, None, "cpu")
    assert after.times == 2
    assert not np.array_equal(after.predictions.probs, before.predictions.probs)
    again = score_test(run, None, "cpu")
    assert again.times is None
    np.testing.assert_array_equal(again.predictions.probs, after.predictions.probs)


def test_a_score_that_was_entered_and_not_stored_is_made_again(here: Path) -> None:
    run = train_run(FROZEN, Path("dataset"), Path("runs"), "cpu").run
    scored = score_test(run, None, "cpu").predictions
    kept = (run.folder / "predictions-test.npz").read_bytes()
    swap_labels(run)
    score_test(run, None, "cpu")
    (run.folder / "predictions-test.npz").write_bytes(kept)  # as a kill between the two leaves it
    after = score_test(run, None, "cpu")
    assert after.times == 3
    assert not np.array_equal(after.predictions.probs, scored.probs)


def backbone_of_the_run(run: Run) -> None:
    first = "conv1.0.weight"
    change_weights(run, lambda weights: weights.update({first: weights[first].flip(0)}))


@pytest.mark.parametrize("change", [backbone_of_the_run, other_preprocessing, swap_class_names])
def test_folds_are_computed_again_when_what_decides_them_has_changed(
    here: Path, change: Callable[[Run], None]
) -> None:
    run = train_run(FROZEN, Path("dataset"), Path("runs"), "cpu").run
    score_folds(run, None, "train", 3, device="cpu")
    change(run)
    found = score_folds(run, None, "train", 3, device="cpu").predictions
    shutil.rmtree(run.folder / "folds")
    anew = score_folds(run, None, "train", 3, device="cpu").predictions
    np.testing.assert_array_equal(found.probs, anew.probs)


def test_groups_labels_and_bytes_decide_what_photos_are(here: Path) -> None:
    samples, rows = load_dataset(Path("dataset")).samples, np.arange(5)
    known = photos_key(samples, rows)
    assert photos_key(replace(samples), rows) == known
    assert photos_key(replace(samples, groups=samples.groups * 0), rows) != known
    assert photos_key(replace(samples, targets=samples.targets * 0 + 1), rows) != known
    assert photos_key(replace(samples, digests=samples.digests[::-1]), rows) != known
    assert photos_key(replace(samples, classes=("azure", "green", "red")), rows) != known


def test_features_of_other_layers_with_the_same_weights_are_other_features(here: Path) -> None:
    samples = load_dataset(Path("dataset")).samples
    convolution = nn.Conv2d(3, 4, 3)
    found = [
        frozen_features(
            Network(
                Classifier(
                    nn.Sequential(convolution, pooling, nn.Flatten()).eval(), nn.Linear(4, 3)
                ),
                Preprocess(16),
                "mine",
                None,
            ),
            samples,
            torch.device("cpu"),
            "fp32",
        )[0]
        for pooling in (nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(1))
    ]
    assert (found[0] > found[1]).all()


def test_changed_photos_are_found_by_their_digests(here: Path) -> None:
    run = train_run(FROZEN, Path("dataset"), Path("runs"), "cpu").run
    said = score_folds(run, None, "train", 3, device="cpu").predictions
    assert changed_photos(load_dataset(Path("dataset")).samples, said) == []
    swap(Path("dataset/train/red/03.png"), Path("dataset/train/blue/03.png"))
    now = load_dataset(Path("dataset")).samples
    assert changed_photos(now, said) == ["train/blue/03.png", "train/red/03.png"]
    assert changed_photos(now, replace(said, digests=())) == []  # of an earlier version
