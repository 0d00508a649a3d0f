"""Labels to review: photos whose predictions made without their own label contradict it.

Up to three predictors: the network, out-of-fold; the nearest neighbours by features; and a linear
fit to all other photos' features. The probabilities of each are calibrated, and their mean log
probability is compared for the class given and the likeliest other one. A share of the expected
confusion of the two classes is subtracted: in a pair that is often confused the network is
sometimes confident and wrong, so such a photo ranks behind one of a pair that is never confused.
No more are listed than are expected to be wrong in all, and none that is wrong with less than a
probability of one in ten.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from imgcli.errors import DataError
from imgcli.evaluation.calibration import best_temperature
from imgcli.evaluation.intervals import too_few
from imgcli.evaluation.metrics import log_probs
from imgcli.evaluation.wrong_labels import (
    WrongLabels,
    log_odds_against,
    planted_odds,
    probability_wrong,
    wrong_labels,
)
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.text import percent

NEAREST = 10  # photos of a class that are asked
DISCOUNT = 0.4  # share of the log odds of a mean confusion that is subtracted
RARE = 0.005  # a rarer confusion counts as this
RIDGE = 1.0  # variance of a label that the linear fit leaves unexplained
LISTED = 0.1  # probability of being wrong from which on a label is listed
MIN_PHOTOS = 6  # with fewer, predictions are not sure enough to contradict a label
AT_ONCE = 1024  # photos whose similarities to all others are held


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The photos around each of M photos, by the cosine of their standardised features."""

    likeness: FloatArray  # (M, K) mean similarity of the nearest photos of each class
    nearest: IntArray  # (M, n) rows of the nearest photos of all


@dataclass(frozen=True)
class LabelIssue:
    """A photo whose label is to be reviewed, and the suggested one."""

    index: int  # row of the dataset's Samples
    path: str
    label: str
    suggestion: str
    score: float  # the probability that the label is wrong; the list is sorted by it
    probability: float  # of the label, out-of-fold
    suggested_probability: float
    nearest: int | None  # neighbours that were counted, if there are features
    nearest_as_labelled: int | None
    nearest_as_suggested: int | None
    reason: str  # one sentence


@dataclass(frozen=True)
class LabelReview:
    """The labels to review, and how many are wrong in all."""

    issues: list[LabelIssue]  # worst first
    wrong: WrongLabels

    @property
    def expected(self) -> float:
        """How many of the listed labels are wrong."""
        return sum(issue.score for issue in self.issues)

    @property
    def summary(self) -> str:
        """What to expect of the list, for people."""
        listed, wrong = len(self.issues), self.wrong.sentence()
        if listed:
            return f"{wrong} Of the {listed:,} listed, about {self.expected:,.0f}."
        if round(self.wrong.expected) == 0:
            return wrong
        return (
            f"{wrong} The predictions are too often wrong themselves to show which. With a better "
            "network (imgcli choose) they can."
        )


def label_issues(predictions: Predictions, features: FloatArray | None = None) -> list[LabelIssue]:
    """The issues of `review_labels`."""
    return review_labels(predictions, features).issues


def review_labels(predictions: Predictions, features: FloatArray | None = None) -> LabelReview:
    """Find the photos that are more probably of another class than of their own.

    Args:
        features: `(M, D)` of a frozen backbone, rows as in the predictions; None for the
            probabilities alone.

    Raises:
        DataError: the predictions are of training photos.
    """
    if not predictions.out_of_sample:
        raise DataError(
            f"The predictions of part '{predictions.on}' are of training photos and do not show "
            "whether their labels are wrong. Run `imgcli evaluate --folds 10` first."
        )
    targets = predictions.targets
    if len(predictions) < MIN_PHOTOS or len(predictions.classes) < 2:
        return LabelReview([], WrongLabels(len(predictions), 0, 0))
    around = None if features is None else neighbours(features, predictions)
    log_p = joint_log_probs(predictions, features, around)
    discounts = _discounts(log_p, targets)
    odds, suggested = log_odds_against(log_p, targets, discounts)
    wrong = wrong_labels(log_p, targets)
    score = probability_wrong(odds, planted_odds(log_p, targets, discounts), wrong.expected)
    worst = np.lexsort((-odds, -score))[: round(wrong.expected)]
    issues = [
        _issue(predictions, row, int(suggested[row]), float(score[row]), around)
        for row in worst[score[worst] >= LISTED].tolist()
    ]
    return LabelReview(issues, wrong)


def labels_sample_size(predictions: Predictions) -> str | None:
    """The sentence that photos are too few to find any; None where there are enough."""
    return too_few(predictions, MIN_PHOTOS, "whether one is labelled wrong")


def suspicion(
    predictions: Predictions, features: FloatArray | None, around: Neighbours | None
) -> tuple[FloatArray, IntArray]:
    """Each photo's log odds of being labelled wrong `(M,)`, and the class it then is of `(M,)`."""
    log_p = joint_log_probs(predictions, features, around)
    return log_odds_against(log_p, predictions.targets, _discounts(log_p, predictions.targets))


def joint_log_probs(
    predictions: Predictions, features: FloatArray | None, around: Neighbours | None
) -> FloatArray:
    """The mean log probabilities `(M, K)` of all predictors, each calibrated first."""
    predicted = [log_probs(predictions.probs)]
    if features is not None and around is not None:
        predicted += [around.likeness, linear_fit(features, predictions)]
    scaled = [log_p / best_temperature(log_p, predictions.targets) for log_p in predicted]
    joint: FloatArray = log_softmax(
        np.mean([log_softmax(one, axis=1) for one in scaled], axis=0), axis=1
    )
    return joint


def _discounts(log_p: FloatArray, targets: IntArray) -> FloatArray:
    """What the expected confusion of two classes takes off log odds, `(K, K)`."""
    discounts: FloatArray = DISCOUNT * np.log(mean_confusion(np.exp(log_p), targets) + RARE)
    return discounts


def mean_confusion(predicted: FloatArray, targets: IntArray) -> FloatArray:
    """Row i, column j: what share of class i is taken for class j, by mean probability, (K, K)."""
    k = predicted.shape[1]
    sums = np.zeros((k, k))
    np.add.at(sums, targets, predicted)
    shares: FloatArray = sums / np.maximum(np.bincount(targets, minlength=k), 1)[:, None]
    return shares


# --- features -----------------------------------------------------------------------------------


def neighbours(features: FloatArray, predictions: Predictions) -> Neighbours:
    """Look around each photo; neither itself nor a near-duplicate of it is its neighbour."""
    directions = _standardised(features).astype(np.float32)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    m, k = predictions.probs.shape
    members = [np.flatnonzero(predictions.targets == label) for label in range(k)]
    likeness = np.full((m, k), -1.0)  # of a class without another photo
    groups = predictions.groups
    most = min(NEAREST, m - int(np.unique(groups, return_counts=True)[1].max()))
    nearest = np.zeros((m, most), np.int64)
    for start in range(0, m, AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, m))
        similar = directions[rows] @ directions.T
        similar[groups[rows, None] == groups] = -np.inf
        nearest[rows] = np.argpartition(-similar, max(most - 1, 0), axis=1)[:, :most]
        for label, photos in enumerate(members):
            likeness[rows, label] = _mean_of_nearest(similar[:, photos])
    return Neighbours(likeness, nearest)


def _mean_of_nearest(similar: NDArray[np.floating]) -> FloatArray:
    """The mean of the NEAREST largest similarities in each row; -1 where there is none."""
    few = min(NEAREST, similar.shape[1])
    if few == 0:
        return np.full(len(similar), -1.0)
    top = -np.partition(-similar, few - 1, axis=1)[:, :few].astype(np.float64)
    there = np.isfinite(top)  # a photo has fewer neighbours in its own class
    sums, n = np.where(there, top, 0.0).sum(axis=1), there.sum(axis=1)
    return np.where(n > 0, sums / np.maximum(n, 1), -1.0)


def linear_fit(features: FloatArray, predictions: Predictions) -> FloatArray:
    """What a ridge regression of the labels on the other photos' features says of each, (M, K).

    Left out in closed form: residual / (1 - leverage) (Allen's PRESS, 1974); near-duplicates
    together, with their block of the hat matrix in the place of the leverage.
    """
    m, k = predictions.probs.shape
    scaled = np.c_[_standardised(features) / np.sqrt(features.shape[1]), np.ones(m)]
    precision = scaled.T @ scaled + RIDGE * np.eye(scaled.shape[1])
    weighted = np.linalg.solve(precision, scaled.T)  # (D + 1, M)
    leverage = np.einsum("md,dm->m", scaled, weighted)
    labels = np.eye(k)[predictions.targets] - 1 / k
    misfits = labels - scaled @ (weighted @ labels)
    residuals = misfits / (1 - leverage)[:, None]
    for rows in _several(predictions.groups):
        hat = scaled[rows] @ weighted[:, rows]
        residuals[rows] = np.linalg.solve(np.eye(len(rows)) - hat, misfits[rows])
    fitted: FloatArray = labels - residuals
    return fitted


def _several(groups: IntArray) -> list[IntArray]:
    """The rows of each group of more than one photo."""
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, ends) if len(rows) > 1]


def _standardised(features: FloatArray) -> FloatArray:
    features = features.astype(np.float64)
    spread = features.std(axis=0)
    standard: FloatArray = (features - features.mean(axis=0)) / np.where(spread > 1e-5, spread, 1.0)
    return standard


# --- words --------------------------------------------------------------------------------------


def _issue(
    predictions: Predictions, row: int, suggested: int, score: float, around: Neighbours | None
) -> LabelIssue:
    label = int(predictions.targets[row])
    p_label, p_suggested = (float(predictions.probs[row, i]) for i in (label, suggested))
    name, other = predictions.classes[label], predictions.classes[suggested]
    reason = (
        f"Out-of-fold probability {percent(p_suggested)} for '{other}' and {percent(p_label)} for "
        f"'{name}'"
    )
    counts: tuple[int, int] | None = None
    if around is not None:
        nearest = predictions.targets[around.nearest[row]]
        counts = int((nearest == label).sum()), int((nearest == suggested).sum())
        reason += (
            f"; of the {len(nearest)} nearest neighbours {counts[1]} are '{other}' and "
            f"{counts[0]} '{name}'"
        )
    return LabelIssue(
        index=int(predictions.indices[row]),
        path=predictions.paths[row],
        label=name,
        suggestion=other,
        score=score,
        probability=p_label,
        suggested_probability=p_suggested,
        nearest=None if around is None else around.nearest.shape[1],
        nearest_as_labelled=None if counts is None else counts[0],
        nearest_as_suggested=None if counts is None else counts[1],
        reason=reason + ".",
    )
