"""Folds where near-duplicates make classes smaller than they look: counted, named, or fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.config import TrainConfig
from imgcli.errors import DataError, WrongUsage
from imgcli.photos.assign import choose_parts
from imgcli.records import IntArray
from imgcli.training.context import FitSpec, TrainingContext
from imgcli.training.cross_validation import folds_of
from imgcli.training.fitting import fit_all
from imgcli.training.folds import evaluation_folds
from imgcli.training.learning_curve import answers_by_share
from imgcli.training.outputs import probs_by
from imgcli.training.pipeline import train_run
from imgcli.training.scoring import score_folds
from tests.support.features import HEAD, blobs, context_of

PHOTOS = TrainConfig.of(
    arch="test_resnet", image_size=32, freeze=True, pretrained=False, precision="fp32"
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


def test_a_class_of_few_groups_is_in_as_many_folds(capsys: pytest.CaptureFixture[str]) -> None:
    context, rows = grouped(in_groups(60, 1, 4)), np.arange(60)
    fold, targets = evaluation_folds(context, rows, 5, seed=0), context.dataset.samples.targets
    assert [len(set(fold[targets == label])) for label in range(3)] == [5, 4, 5]
    assert "In fewer than 5 folds, for want of independent photos: 'b' (4)." in one_line(capsys)
    assert fold.min() == 0 and fold.max() == 4


def test_a_class_of_one_group_is_trained_on_in_every_fold_and_never_held_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    context, rows = grouped(in_groups(60, 2, 1)), np.arange(60)
    fold, targets = evaluation_folds(context, rows, 5, seed=0), context.dataset.samples.targets
    assert (fold[targets == 2] == -1).all() and (fold[targets != 2] >= 0).all()
    for one in folds_of(rows, fold):
        assert set(rows[targets == 2]) <= set(one.train) and not set(one.train) & set(one.held)
    assert "never scored" in (said := one_line(capsys)) and "class 'c' (20 photos)" in said


def test_more_folds_than_groups_are_refused_with_a_number_that_works() -> None:
    context, rows = grouped(np.arange(60) % 6), np.arange(60)
    with pytest.raises(DataError, match=r"--folds 7 needs at least 7 .*, and 6 can .* --folds 2"):
        evaluation_folds(context, rows, 7, seed=0)
    assert set(evaluation_folds(context, rows, 2, seed=0)) == {0, 1}
    with pytest.raises(DataError, match="has 0 independent photos that folds could hold out"):
        evaluation_folds(grouped(np.arange(60) % 3), rows, 2, seed=0)


def test_folds_of_classes_that_all_have_fewer_photos() -> None:
    targets = np.repeat(np.arange(3), 4)
    fold = evaluation_folds(grouped(np.arange(12), targets=targets), np.arange(12), 6, seed=1)
    assert np.bincount(fold).tolist() == [2] * 6
    assert all(len(set(fold[targets == label])) == 4 for label in range(3))


def test_a_class_whose_groups_fall_into_one_fold_is_spread() -> None:
    groups = np.r_[np.zeros(20, int), 1, np.full(20, 2)]
    targets = np.r_[np.zeros(20, int), 1, np.tile([1, 0], 10)]
    fold = evaluation_folds(grouped(groups, targets=targets), np.arange(41), 2, seed=0)
    assert set(fold[targets == 1]) == set(fold[targets == 0]) == {0, 1}
    assert all(len(set(fold[groups == group])) == 1 for group in range(3))


# Groups of one class and of several, even and uneven, with a rare class or without.
LAYOUTS = ("patients", "uneven", "stations", "pairs", "mixed")


def layout(name: str, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Targets and groups of N photos of three classes."""
    if name == "patients":  # of one class, of one size
        groups = np.repeat(np.arange(30), 6)
        return groups % 3, groups
    if name == "uneven":
        groups = np.repeat(np.arange(30), rng.integers(1, 20, 30))
        return groups % 3, groups
    if name == "stations":  # every camera sees every class
        groups = rng.integers(0, 25, 300)
        return rng.integers(0, 3, 300), groups
    if name == "pairs":
        groups = np.repeat(np.arange(60), 2)
        return rng.integers(0, 3, 120), groups
    groups = np.r_[rng.integers(0, 12, 150), np.arange(100, 160), np.full(5, 200)]
    targets = np.r_[rng.integers(0, 3, 150), np.arange(60) % 3, np.full(5, 2)]
    return targets, groups


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_group_is_in_two_folds_or_two_parts(name: str) -> None:
    for seed in range(200):
        targets, groups = layout(name, np.random.default_rng(seed))
        rows, digests = np.arange(len(targets)), [f"{i:064x}" for i in range(len(targets))]
        shares = {"train": 0.7, "val": 0.1, "test": 0.2}
        parts = choose_parts(targets, groups, digests, shares, seed, large_groups=True)
        where = np.full(len(targets), -1)
        for number, held in enumerate(parts.values()):
            where[held] = number
        assert (where >= 0).all() and straddling(groups, where) == 0
        assert all(len(set(targets[held])) == 3 for held in parts.values())
        if seed % 10 == 0:  # scikit-learn's folds take their time
            fold = evaluation_folds(grouped(groups, targets=targets), rows, 4, seed)
            assert straddling(groups, fold) == 0


def straddling(groups: IntArray, place: IntArray) -> int:
    """Groups in two places."""
    pairs = np.unique(np.stack([groups, place]), axis=1)[0]
    return len(pairs) - len(np.unique(pairs))


@pytest.mark.parametrize("name", ["patients", "uneven", "stations"])
def test_parts_and_folds_are_within_one_group_of_balance(name: str) -> None:
    for seed in range(10):
        targets, groups = layout(name, np.random.default_rng(seed))
        digests = [f"{i:064x}" for i in range(len(targets))]
        shares = {"train": 0.8, "test": 0.2}
        test = choose_parts(targets, groups, digests, shares, seed, large_groups=True)["test"]
        cells = np.zeros((groups.max() + 1, 3), int)
        np.add.at(cells, (groups, targets), 1)
        goal, have = 0.2 * np.bincount(targets), np.bincount(targets[test], minlength=3)
        assert (np.abs(have - goal) <= cells.max(axis=0)).all()
        fold = evaluation_folds(grouped(groups, targets=targets), np.arange(len(targets)), 4, seed)
        sizes = np.bincount(fold)
        assert sizes.max() - sizes.min() <= cells.sum(axis=1).max()


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


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
        assert set(judged(4)) == {0, 1, 2, 3}
        with pytest.raises(DataError, match=r"--folds 30 needs at least 30 .*, and 27 can be held"):
            judged(30)
