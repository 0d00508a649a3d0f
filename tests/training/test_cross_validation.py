"""Folds where near-duplicates make classes smaller than they look: counted, named, or fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.config import TrainConfig
from imgcli.errors import DataError, WrongUsage
from imgcli.records import IntArray
from imgcli.training.context import FitSpec, TrainingContext, probs_by
from imgcli.training.fitting import fit_all
from imgcli.training.folds import evaluation_folds
from imgcli.training.learning_curve import answers_by_share
from imgcli.training.pipeline import train_run
from imgcli.training.scoring import score_folds
from tests.support.features import HEAD, blobs, context_of

PHOTOS = TrainConfig.of(
    arch="resnet18", image_size=32, freeze=True, pretrained=False, precision="fp32"
)


def grouped(
    groups: IntArray, config: TrainConfig = HEAD, targets: IntArray | None = None
) -> TrainingContext:
    """A context of three classes, its photos in groups of near-duplicates."""
    features, known = blobs(len(groups))
    context = context_of(features, known if targets is None else targets, config)
    samples = replace(context.dataset.samples, groups=groups)
    return replace(context, dataset=replace(context.dataset, samples=samples))


def in_groups(n: int, label: int, groups: int) -> IntArray:
    """Every photo by itself, but for those of one class, which make up so many groups."""
    found = np.arange(n)
    of_class = found[found % 3 == label]
    found[of_class] = n + np.arange(len(of_class)) % groups
    return found


def test_groups_of_a_class_are_counted_and_not_its_photos() -> None:
    context, rows = grouped(in_groups(60, 1, 4)), np.arange(60)
    with pytest.raises(
        DataError,
        match=r"Class 'b' has 20 photos in 4 groups of near-duplicates, .*; 5 folds need at least "
        r"5 groups\. .* or use --folds 4",
    ):
        evaluation_folds(context, rows, 5, seed=0)
    fold = evaluation_folds(context, rows, 4, seed=0)
    for label in range(3):
        assert set(fold[context.dataset.samples.targets == label]) == {0, 1, 2, 3}
    with pytest.raises(DataError, match=r"Class 'c' has 20 photos in 1 group .* or remove it"):
        evaluation_folds(grouped(in_groups(60, 2, 1)), rows, 2, seed=0)


def test_a_class_that_one_fold_has_all_of_is_named() -> None:
    groups = np.r_[np.zeros(20, int), 1, np.full(20, 2)]
    targets = np.r_[np.zeros(20, int), 1, np.tile([1, 0], 10)]
    with pytest.raises(DataError, match="All photos of class 'b' are in one of 2 folds"):
        evaluation_folds(grouped(groups, targets=targets), np.arange(41), 2, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none_is_refused(seed: int) -> None:
    with pytest.raises(WrongUsage, match=r"--seed .* must be at least 0 and at most"):
        evaluation_folds(grouped(np.arange(60)), np.arange(60), 3, seed)


def test_a_head_is_fitted_where_a_class_is_missing_from_inner_folds() -> None:
    context = grouped(in_groups(60, 0, 1))
    rows = np.arange(60)
    (fitted,) = fit_all(context, [FitSpec(rows)])
    probs = probs_by(context, fitted.module, rows)
    assert np.isfinite(probs).all()
    assert (probs.argmax(1) == context.dataset.samples.targets)[rows % 3 > 0].mean() > 0.9


def test_one_group_per_class_leaves_nothing_to_choose_by() -> None:
    context = grouped(np.arange(60) % 3)
    with pytest.raises(DataError, match="one training photo per class, near-duplicates counted"):
        list(fit_all(context, [FitSpec(np.arange(60))]))
    few = grouped(np.arange(60) % 3, HEAD.with_(labels_per_class=2))
    (fitted,) = fit_all(few, [FitSpec(np.arange(60))])
    assert fitted.val is None and len(fitted.trained_on) == 6
    shared = grouped(np.arange(60) % 3, HEAD.with_(val_share=0.2))
    with pytest.raises(DataError, match=r"--val-share 0\.2 holds out none of 60 photos"):
        list(fit_all(shared, [FitSpec(np.arange(60))]))


def test_evaluating_and_learning_curve_count_groups(here: Path) -> None:
    for i in range(3, 12):  # of twelve photos nine are copies of the first three
        source = here / f"dataset/train/red/{i % 3:02}.png"
        (here / f"dataset/train/red/{i:02}.png").write_bytes(source.read_bytes())
    run = train_run(PHOTOS, Path("dataset"), Path("runs"), "cpu").run
    for judged in (
        lambda k: score_folds(run, None, "train", k, device="cpu").predictions.fold,
        lambda k: answers_by_share(run, None, k, device="cpu").fold,
    ):
        with pytest.raises(DataError, match=r"Class 'red' has 12 photos in 3 groups .*--folds 3"):
            judged(4)
        assert set(judged(3)) == {0, 1, 2}
