"""Which photos to label next, and what the labels so far are worth."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.evaluation import labelling
from imgcli.evaluation.labelling import (
    AUDIT_EVERY,
    RidgeClassifier,
    audit,
    directions_of,
    in_audit,
    next_to_label,
)
from imgcli.records import FloatArray, IntArray


def population(
    n: int, seed: int, classes: int = 6, spread: float = 1.0
) -> tuple[FloatArray, IntArray]:
    """Photos of classes of unequal sizes, some of which are close to each other."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, classes + 1) / (classes * (classes + 1) / 2)
    targets = rng.choice(classes, n, p=shares)
    centres = rng.standard_normal((classes, 20)) * 1.3
    centres[1] = centres[0] + 0.6 * rng.standard_normal(20)
    return centres[targets] + spread * rng.standard_normal((n, 20)), targets.astype(np.int64)


def digests_of(n: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(n)]


def labelled_in_order(features: FloatArray, targets: IntArray, most: int) -> list[int]:
    """The rows in the order in which they are asked for, ten at a time."""
    directions, n = directions_of(features), len(features)
    labels, groups, digests = np.full(n, -1), np.arange(n), digests_of(n)
    order: list[int] = []
    while len(order) < most:
        rows = next_to_label(directions, labels, groups, digests, 10)
        labels[rows] = targets[rows]
        order += rows.tolist()
    return order


def accuracy(features: FloatArray, targets: IntArray, rows: list[int], test: slice) -> float:
    directions = directions_of(features)
    fitted = RidgeClassifier.fitted(directions[rows], targets[rows])
    return float((fitted.predict(directions[test]) == targets[test]).mean())


def test_half_the_labels_in_this_order_are_worth_all_at_random() -> None:
    ours, at_random = [], []
    for seed in range(4):
        features, targets = population(1500, seed)
        pool, test = slice(0, 1000), slice(1000, 1500)
        order = labelled_in_order(features[pool], targets[pool], 100)
        rng = np.random.default_rng(seed)
        ours.append(accuracy(features, targets, order, test))
        drawn = rng.permutation(1000)[:200].tolist()
        at_random.append(accuracy(features, targets, drawn, test))
    assert np.mean(ours) >= np.mean(at_random) - 0.005


def test_one_in_five_is_of_the_random_quarter_and_no_other_is() -> None:
    features, targets = population(600, 0)
    order = labelled_in_order(features, targets, 100)
    drawn = in_audit([digests_of(600)[i] for i in order])
    assert (np.flatnonzero(drawn) % AUDIT_EVERY == AUDIT_EVERY - 1).all() and drawn.sum() == 20


def test_every_class_is_met_early() -> None:
    features, targets = population(800, 1)
    assert set(targets[labelled_in_order(features, targets, 30)]) == set(range(6))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([0, 20, 60]))
def test_the_order_depends_on_contents_and_not_on_their_order(seed: int, known: int) -> None:
    features, targets = population(150, 3)
    digests, groups = digests_of(150), np.arange(150)
    labels = np.full(150, -1)
    labels[:known] = targets[:known]
    directions = directions_of(features)
    expected = [digests[i] for i in next_to_label(directions, labels, groups, digests, 12)]
    order = np.random.default_rng(seed).permutation(150)
    again = [digests[i] for i in order]
    found = next_to_label(directions[order], labels[order], groups[order], again, 12)
    assert [again[i] for i in found] == expected


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 60), st.integers(0, 99))
def test_each_group_is_asked_for_once_until_none_is_left(
    groups: int, known: int, asked: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    of = rng.integers(0, groups, 40)
    labels = np.full(40, -1)
    labels[rng.permutation(40)[:known]] = 0
    directions = directions_of(rng.standard_normal((40, 5)))
    rows = next_to_label(directions, labels, of, digests_of(40), asked)
    left = set(of.tolist()) - set(of[labels >= 0].tolist())
    assert len(rows) == min(asked, len(left))
    assert len({int(of[row]) for row in rows}) == len(rows)
    assert {int(of[row]) for row in rows} <= left


def test_the_accuracy_told_is_that_of_new_photos() -> None:
    """Of 30 populations, each labelled in this order, the interval holds the true accuracy."""
    held, errors = 0, []
    for seed in range(30):
        features, targets = population(1200, seed, classes=4, spread=1.6)
        directions, labels = directions_of(features), np.full(300, -1)
        digests, groups = digests_of(300, str(seed)), np.arange(300)
        for _ in range(10):
            rows = next_to_label(directions[:300], labels, groups, digests, 15)
            labels[rows] = targets[rows]
        found = audit(directions[:300], labels, groups, digests)
        known = np.flatnonzero(labels >= 0)
        true = accuracy(features, targets, known.tolist(), slice(300, 1200))
        assert found.accuracy is not None and found.ci95 is not None and found.n >= 30
        held += found.ci95[0] <= true <= found.ci95[1]
        errors.append(found.accuracy - true)
    assert held >= 26
    assert abs(np.mean(errors)) < 0.04


def test_what_more_labels_bring_is_between_now_and_certain() -> None:
    features, targets = population(400, 5, spread=2.0)
    directions, groups = directions_of(features), np.arange(400)
    found = audit(directions, targets, groups, digests_of(400))
    assert found.accuracy is not None and found.with_twice is not None
    assert found.accuracy <= found.with_twice <= 1
    assert "with twice the labels about" in found.sentence


def test_few_random_photos_tell_no_accuracy() -> None:
    features, targets = population(100, 0)
    labels = np.where(np.arange(100) < 20, targets, -1)
    found = audit(directions_of(features), labels, np.arange(100), digests_of(100))
    assert found.n < labelling.FEWEST and found.accuracy is None and found.ci95 is None
    assert found.sentence == "20 labels. The accuracy is told from 10 random photos on."


def test_the_error_of_leaving_one_out_is_that_of_fitting_without_it() -> None:
    """The penalty chosen is the one that errs least when each label is left out in turn."""
    features, targets = population(40, 7, classes=3, spread=2.0)
    directions = directions_of(features)
    wrong = {}
    for penalty in labelling.PENALTIES:
        missed = 0
        for i in range(40):
            others = np.delete(np.arange(40), i)
            signs = np.where(targets[:, None] == np.arange(3), 1.0, -1.0)
            x = directions[others].astype(np.float64)
            mean = signs.mean(axis=0)  # of all labels, as the closed form has it
            dual = np.linalg.solve(x @ x.T + penalty * np.eye(39), signs[others] - mean)
            missed += int((directions[i] @ (x.T @ dual) + mean).argmax() != targets[i])
        wrong[penalty] = missed
    best = max(p for p in wrong if wrong[p] == min(wrong.values()))
    signs = np.where(targets[:, None] == np.arange(3), 1.0, -1.0)
    x = directions.astype(np.float64)
    dual = np.linalg.solve(x @ x.T + best * np.eye(40), signs - signs.mean(axis=0))
    fitted = RidgeClassifier.fitted(directions, targets)
    assert fitted.weights == pytest.approx(x.T @ dual, abs=1e-6)
