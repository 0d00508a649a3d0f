"""Groups drawn with replacement, and whether the intervals hold what they promise."""

import tracemalloc
from collections.abc import Iterable

import numpy as np
import pytest

from imgcli.evaluation import metrics
from imgcli.evaluation.intervals import effective_sizes, resampled_margins
from imgcli.evaluation.metrics import FIGURES
from imgcli.records import FloatArray, IntArray
from tests.support.predictions import intervals_of, of_confusion, predictions, sure


def test_groups_are_drawn_whole_and_every_draw_has_as_many_groups() -> None:
    some = predictions([0, 0, 1, 1], sure([0, 0, 1, 0], 2), groups=[7, 7, 3, 3])
    drawn = joined(resampled_margins(some, 50, seed=0))
    assert drawn.hits.shape == drawn.actual.shape == drawn.predicted.shape == (50, 2)
    assert np.all(drawn.actual.sum(axis=1) == 4) and np.all(drawn.predicted.sum(axis=1) == 4)
    assert np.all(drawn.hits[:, 0] % 2 == 0) and np.all(drawn.hits[:, 1] == drawn.actual[:, 1] / 2)
    assert len(np.unique(drawn.hits[:, 0])) == 3


def test_chunks_of_the_bootstrap_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    some = of_confusion([[40, 10], [5, 45]])
    whole = joined(resampled_margins(some, 30, seed=3))
    monkeypatch.setattr("imgcli.evaluation.intervals.CHUNK", 700)
    chunks = list(resampled_margins(some, 30, seed=3))
    assert len(chunks) == 5
    for one, other in zip(joined(chunks), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_memory_of_the_bootstrap_grows_with_the_classes_and_not_with_their_square() -> None:
    # Confusion matrices of 1,000 classes would be 8 MB for each draw: 800 MB.
    preds = np.arange(2_000) % 1_000
    some = predictions((preds + (preds % 7 == 0)) % 1_000, sure(preds, 1_000))
    tracemalloc.start()
    effective_sizes(some, FIGURES, dict.fromkeys(FIGURES, 0.5), draws=100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40e6


def joined(chunks: Iterable[metrics.Margins]) -> metrics.Margins:
    return metrics.Margins(*(np.concatenate(each) for each in zip(*chunks, strict=True)))


# A classifier that is what it is: row i, the probabilities of what it calls a photo of class i.
FIXED = np.array(
    [
        [0.95, 0.03, 0.01, 0.01],
        [0.10, 0.80, 0.05, 0.05],
        [0.02, 0.08, 0.90, 0.00],
        [0.00, 0.05, 0.05, 0.90],
    ]
)
SIZES = np.array([90, 60, 40, 30])


def coverage(copies: int, grouped: bool, repeats: int = 400) -> dict[str, float]:
    """How often the interval holds the truth; each photo is there `copies` times."""
    rng = np.random.default_rng(1)
    truth = {name: float(figure(FIXED * SIZES[:, None])) for name, figure in FIGURES.items()}
    held = dict.fromkeys(FIGURES, 0)
    targets = np.repeat(np.arange(4), SIZES)
    for _ in range(repeats):
        preds = (FIXED[targets].cumsum(axis=1) > rng.random((len(targets), 1))).argmax(axis=1)
        group = np.repeat(np.arange(len(targets)), copies)
        some = predictions(targets[group], sure(preds[group], 4), groups=group if grouped else None)
        for name, (low, high) in intervals_of(some, draws=200).items():
            held[name] += low <= truth[name] <= high
    return {name: count / repeats for name, count in held.items()}


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    # 400 repeats know a coverage of 95 % to about 1.1 %.
    for held in coverage(copies=1, grouped=True).values():
        assert 0.92 <= held <= 0.98


def test_intervals_of_folds_hold_the_accuracy_of_a_retrained_network() -> None:
    """Linear classifiers of 120 points, really fitted: ten of the folds and the one delivered."""
    rng, (k, size, n) = np.random.default_rng(0), (4, 30, 120)
    centres = 0.45 * rng.normal(size=(k, size))

    def drawn(n: int) -> tuple[FloatArray, IntArray]:
        targets = rng.integers(k, size=n)
        return np.c_[centres[targets] + rng.normal(size=(n, size)), np.ones(n)], targets

    def fitted(x: FloatArray, targets: IntArray) -> FloatArray:
        return np.linalg.solve(x.T @ x + 1e-3 * np.eye(size + 1), x.T @ np.eye(k)[targets])

    new, labels = drawn(20_000)
    held = {name: [0, 0] for name in FIGURES}
    for _ in range(300):
        (x, targets), fold = drawn(n), rng.permutation(n) % 10
        preds = np.zeros(n, np.int64)
        for f in range(10):
            preds[fold == f] = (x[fold == f] @ fitted(x[fold != f], targets[fold != f])).argmax(1)
        delivered = (new @ fitted(x, targets)).argmax(axis=1)
        of_folds = predictions(targets, sure(preds, k), fold=fold)
        as_if_given = predictions(targets, sure(preds, k))  # as if these networks were delivered
        truth = metrics.confusion_matrix(labels, delivered, k)
        for which, some in enumerate((of_folds, as_if_given)):
            for name, (low, high) in intervals_of(some, draws=200).items():
                held[name][which] += low <= float(FIGURES[name](truth)) <= high
    for of_retrained_networks, of_given_ones in held.values():
        assert 0.93 <= of_retrained_networks / 300 <= 0.98
        assert of_given_ones / 300 < 0.92


def test_the_interval_of_macro_precision_holds_it_with_uneven_classes_of_few_photos() -> None:
    """Nearest centroids of classes of 3 to 33 points, really fitted; some are never predicted."""
    rng, size = np.random.default_rng(0), 30
    sizes = np.geomspace(3, 33, 8).astype(int)
    k, targets = len(sizes), np.repeat(np.arange(len(sizes)), sizes)
    centres = 0.5 * rng.normal(size=(k, size))
    labels = np.repeat(np.arange(k), 60 * sizes)
    new = centres[labels] + rng.normal(size=(len(labels), size))

    def predicted(x: FloatArray, targets: IntArray, of: FloatArray) -> IntArray:
        n = np.bincount(targets, minlength=k)
        means = np.eye(k)[targets].T @ x / np.maximum(n, 0.1)[:, None]
        logits = of @ means.T - (means**2).sum(axis=1) / 2 + np.log(np.maximum(n, 0.5))
        return np.asarray(logits.argmax(axis=1))

    held = 0
    for _ in range(100):
        x = centres[targets] + rng.normal(size=(len(targets), size))
        fold, preds = rng.permutation(len(x)) % 10, np.zeros(len(x), np.int64)
        for f in range(10):
            preds[fold == f] = predicted(x[fold != f], targets[fold != f], x[fold == f])
        delivered = metrics.confusion_matrix(labels, predicted(x, targets, new), k)
        of_folds = predictions(targets, sure(preds, k), fold=fold)
        low, high = intervals_of(of_folds, draws=200)["macro_precision"]
        held += low <= float(metrics.macro_precision(delivered)) <= high
    assert held >= 91


def test_a_class_that_was_never_predicted_may_have_any_precision() -> None:
    matrix = [[20, 0, 0, 0], [0, 20, 0, 0], [0, 0, 20, 0], [1, 0, 0, 0]]
    low, high = intervals_of(of_confusion(matrix))["macro_precision"]
    assert low < 0.35 and high > 0.92


def test_a_class_of_few_photos_that_are_all_correct_is_not_certain() -> None:
    matrix = np.diag([4, 4, 4, 100])
    some = of_confusion(matrix.tolist())
    low, high = intervals_of(some)["macro_precision"]
    assert high == 1.0 and low < 0.85


def test_intervals_hold_the_truth_with_copies_only_if_these_move_together() -> None:
    for held in coverage(copies=3, grouped=True).values():
        assert 0.92 <= held <= 0.98
    for held in coverage(copies=3, grouped=False, repeats=200).values():
        assert held < 0.85
