"""Labels that were flipped are found, by probabilities and better by neighbours."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from imgcli.errors import DataError
from imgcli.evaluation.label_errors import (
    MIN_PHOTOS,
    NEAREST,
    label_issues,
    labels_sample_size,
    linear_fit,
    mean_confusion,
    neighbours,
    suspicion,
)
from imgcli.records import FloatArray, IntArray, Predictions
from tests.support.predictions import predictions, sure

K, N, D = 6, 40, 24


def flipped(seed: int = 0, share: float = 0.05) -> tuple[Predictions, FloatArray, IntArray]:
    """Classes 0 and 1 alike, others apart; some labels flipped, and which photos these are."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(K), N)
    centres = 3 * np.eye(K, D)
    centres[1, :2] = 2.0, 2.2
    features = centres[truth] + rng.normal(size=(len(truth), D))
    rows = rng.choice(len(truth), round(share * len(truth)), replace=False)
    labels = truth.copy()
    labels[rows] = (truth[rows] + rng.integers(1, K, len(rows))) % K
    logits = 3 * features[:, :K] + rng.normal(0, 3, (len(truth), K))
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    return predictions(labels, probs / probs.sum(axis=1, keepdims=True)), features, rows


def test_flipped_labels_are_found_with_what_they_were() -> None:
    some, features, rows = flipped()
    issues = label_issues(some, features)
    found = {issue.index for issue in issues}
    assert len(found & set(rows.tolist())) >= 0.8 * len(rows)
    truth = np.repeat(np.arange(K), N)
    of_flipped = [issue for issue in issues if issue.index in rows]
    right = [issue.suggestion == f"c{truth[issue.index]:02d}" for issue in of_flipped]
    assert np.mean(right) > 0.8
    assert [issue.score for issue in issues] == sorted((i.score for i in issues), reverse=True)


def test_neighbours_find_more_than_probabilities_alone() -> None:
    gains = []
    for seed in range(4):
        some, features, rows = flipped(seed)
        wrong = np.isin(np.arange(len(some)), rows)
        both, _ = suspicion(some, features, neighbours(features, some))
        alone, _ = suspicion(some, None, None)
        gains.append(average_precision_score(wrong, both) - average_precision_score(wrong, alone))
    assert np.mean(gains) > 0.05


def test_an_issue_says_what_speaks_for_it() -> None:
    some, features, _ = flipped()
    issue = label_issues(some, features)[0]
    assert (issue.nearest, issue.path) == (NEAREST, f"{issue.index}.jpg")
    assert issue.reason.startswith("Out-of-fold probability")
    assert f"of the 10 nearest neighbours {issue.nearest_as_suggested} are" in issue.reason
    alone = label_issues(some)[0]
    assert alone.nearest is None and "most like it" not in alone.reason


def test_an_unusual_mistake_stands_before_a_usual_one() -> None:
    # c is often taken for d, a never for b; both photos are believed to be the other class alike.
    targets = np.r_[np.zeros(40), np.ones(40), np.full(40, 2), np.full(40, 3)].astype(int)
    preds = targets.copy()
    preds[0] = 1
    preds[80:92] = 3
    odds, suggested = suspicion(predictions(targets, sure(preds, 4)), None, None)
    assert odds[0] == odds.max() and suggested[0] == 1
    assert odds[0] > odds[80] > odds[100]


def test_right_labels_give_no_issues() -> None:
    targets = np.arange(60) % 3
    assert label_issues(predictions(targets, sure(targets, 3))) == []


@pytest.mark.parametrize("m", [0, 1])
def test_a_photo_alone_is_no_issue(m: int) -> None:
    some = predictions(np.zeros(m, int), sure(np.zeros(m, int), 3))
    assert label_issues(some, np.ones((m, 4))) == []


def test_a_class_of_one_photo_and_features_that_do_not_vary_are_borne() -> None:
    targets = np.array([0, 0, 0, 1, 1, 2])
    some = predictions(targets, sure(targets, 4))
    around = neighbours(np.ones((6, 3)), some)
    assert np.isfinite(around.likeness).all() and around.nearest.shape == (6, 5)
    assert (around.likeness[:, 3] == -1).all()
    assert all(row not in around.nearest[row] for row in range(6))
    label_issues(some, np.ones((6, 3)))


def test_the_nearest_are_those_in_the_same_direction() -> None:
    features = np.array([[1.0, 0], [2, 0.1], [-1, 0], [-2, 0.1]])
    some = predictions([0, 0, 1, 1], sure([0, 0, 1, 1], 2))
    around = neighbours(features, some)
    assert (around.likeness[:2, 0] > around.likeness[:2, 1]).all()
    assert (around.likeness[2:, 1] > around.likeness[2:, 0]).all()


def test_blocks_of_neighbours_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    some, features, _ = flipped()
    whole = neighbours(features, some)
    monkeypatch.setattr("imgcli.evaluation.label_errors.AT_ONCE", 7)
    parts = neighbours(features, some)
    np.testing.assert_allclose(parts.likeness, whole.likeness, atol=1e-6)
    np.testing.assert_array_equal(np.sort(parts.nearest), np.sort(whole.nearest))


def test_the_fit_leaves_each_photo_out() -> None:
    some, features, _ = flipped()
    fitted = linear_fit(features, some)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    scaled = np.c_[standard / np.sqrt(D), np.ones(len(some))]
    labels = np.eye(K)[some.targets] - 1 / K
    for row in (0, 100):
        others = np.arange(len(some)) != row
        x, y = scaled[others], labels[others]
        weights = np.linalg.solve(x.T @ x + np.eye(D + 1), x.T @ y)
        np.testing.assert_allclose(fitted[row], scaled[row] @ weights, atol=1e-9)


def test_near_duplicates_do_not_vouch_for_each_other() -> None:
    some, features, _ = flipped()
    copies = np.r_[np.arange(len(some)), [0, 0, 100]]  # and further photos of two groups
    groups = np.r_[np.arange(len(some)), [0, 0, 100]]
    copied = predictions(some.targets[copies], some.probs[copies], groups=groups)
    around = neighbours(features[copies], copied)
    assert not (groups[around.nearest] == groups[:, None]).any()
    relabelled = np.where(groups == 0, (copied.targets + 1) % K, copied.targets)
    other = predictions(relabelled, copied.probs, groups=groups)
    rows = groups == 0
    np.testing.assert_allclose(
        linear_fit(features[copies], copied)[rows], linear_fit(features[copies], other)[rows]
    )
    elsewhere = neighbours(features[copies], other)
    np.testing.assert_array_equal(elsewhere.likeness[rows], around.likeness[rows])


def test_photos_of_one_group_have_no_neighbours() -> None:
    some = predictions([0, 0, 1], sure([0, 0, 1], 2), groups=[4, 4, 4])
    assert neighbours(np.eye(3), some).nearest.shape == (3, 0)
    label_issues(some, np.eye(3))


def test_expected_confusion_is_the_mean_probability_of_a_class() -> None:
    predicted = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    np.testing.assert_allclose(
        mean_confusion(predicted, np.array([0, 0, 1])), [[0.7, 0.3], [0.1, 0.9]]
    )


def test_training_photos_are_refused() -> None:
    with pytest.raises(DataError, match="do not show whether their labels are wrong"):
        label_issues(predictions([0, 1], sure([0, 1], 2), out_of_sample=False))


def test_of_two_classes_six_photos_are_the_fewest_that_can_be_flagged() -> None:
    targets = np.array([0, 0, 0, 0, 1, 1])
    enough = predictions(targets, sure([1, 0, 0, 0, 1, 1], 2))
    assert len(enough) == MIN_PHOTOS and len(label_issues(enough)) == 1
    assert labels_sample_size(enough) is None
    fewer = predictions(targets[:-1], sure([1, 0, 0, 0, 1], 2))
    assert label_issues(fewer) == []
    assert (labels_sample_size(fewer) or "").startswith(
        "5 photos are too few to tell whether one is"
    )
