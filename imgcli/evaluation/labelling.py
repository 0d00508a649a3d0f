"""Which photos to label next, and how good what was labelled is.

First the most typical photo of each of the largest clusters of features without a label (Hacohen,
Dekel and Weinshall, Active Learning on a Budget, 2022). Once there are some labels, photos that
the classifier hardly decides between two classes, spread over the feature space: of the smallest
margins five times as many as are wanted, clustered with weights of 1 - margin, the one nearest each
centre (Zhdanov, Diverse mini-batch Active Learning, 2019).

One in five is drawn at random instead, from a quarter of the photos that is never chosen in another
way: by these the accuracy is told, for photos that were chosen because they are hard do not tell
it. Which photo is in that quarter, and all of the order, is decided by contents alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcli.evaluation.intervals import first_of_groups
from imgcli.evaluation.learning_curve import extrapolated
from imgcli.evaluation.metrics import wilson_interval
from imgcli.records import FloatArray, IntArray
from imgcli.text import count, interval, percent

Directions = NDArray[np.float32]

TYPICAL = 30  # labels after which margins decide
CANDIDATES = 5  # times as many photos of small margin as are wanted
AUDIT_SHARE = 0.25  # of the photos, for the accuracy
AUDIT_EVERY = 5  # one in so many labels
NEIGHBOURS = 20  # whose mean similarity makes a photo typical
CLUSTERS = 500  # at most
PENALTIES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # of the ridge classifier
SHARES = (0.25, 0.5, 1.0)  # of the labels, for what more would bring
FEWEST = 10  # random photos by which an accuracy is told


def directions_of(features: FloatArray) -> Directions:
    """Features (N, D), standardised and scaled to unit length."""
    deviation = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    norms = np.linalg.norm(standard, axis=1, keepdims=True)
    return np.asarray(standard / np.maximum(norms, 1e-12), dtype=np.float32)


def in_audit(digests: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a photo is of those by which the accuracy is told, by its SHA-256."""
    return np.array([int(sha[:8], 16) < AUDIT_SHARE * 2**32 for sha in digests], dtype=bool)


# --- what to label next -------------------------------------------------------------------------


def next_to_label(
    directions: Directions, labels: IntArray, groups: IntArray, digests: Sequence[str], n: int
) -> IntArray:
    """The rows of the `n` photos to label next, the most valuable first; fewer if there are fewer.

    Args:
        directions: (N, D), of `directions_of`.
        labels: (N,) the class of each photo, -1 for one without a label.
        groups: (N,) near-duplicates; one label is enough for them.
        digests: (N,) SHA-256 of the photos.
    """
    order = np.argsort(np.array(digests))  # contents decide, not names
    open_rows = _open(labels, groups, order)
    audit = in_audit(digests)
    random_rows, rows = open_rows[audit[open_rows]], open_rows[~audit[open_rows]]
    known = order[labels[order] >= 0]
    before = len(known)
    wanted = np.arange(before, before + n) % AUDIT_EVERY == AUDIT_EVERY - 1
    drawn = list(random_rows[: max(int(wanted.sum()), n - len(rows))])
    most = n - len(drawn)
    if len(known) < TYPICAL or len(np.unique(labels[known])) < 2:
        chosen = list(typical(directions, rows, known, most))
    else:
        chosen = list(uncertain(directions, rows, known, labels[known], most))
    found = [
        (drawn if takes_drawn and drawn else chosen or drawn).pop(0)
        for takes_drawn in wanted
        if drawn or chosen
    ]
    return np.array(found, dtype=np.int64)


def _open(labels: IntArray, groups: IntArray, order: IntArray) -> IntArray:
    """The rows without a label, one of each group that has none, in an order."""
    done = np.isin(groups, groups[labels >= 0])
    left = order[~done[order]]
    _, first = np.unique(groups[left], return_index=True)
    return left[np.sort(first)]


def typical(directions: Directions, rows: IntArray, known: IntArray, n: int) -> IntArray:
    """Of `rows`, the most typical photo of each of the largest clusters without a `known` one."""
    from sklearn.cluster import MiniBatchKMeans

    n = min(n, len(rows))
    if n == 0:
        return rows[:0]
    both = np.concatenate([known, rows])
    k = max(1, min(len(known) + n, CLUSTERS, len(both) // 2))
    clusters = MiniBatchKMeans(k, n_init=3, random_state=0, batch_size=2048).fit(directions[both])
    assigned = clusters.labels_[len(known) :]
    seen = np.bincount(clusters.labels_[: len(known)], minlength=k) > 0
    sizes = np.bincount(assigned, minlength=k)
    found: list[int] = []
    for cluster in sorted(range(k), key=lambda c: (seen[c], -sizes[c], c)):
        members = rows[assigned == cluster]
        if len(members) and len(found) < n:
            found.append(int(members[_density(directions[members]).argmax()]))
    taken = set(found)
    rest = [row for row in rows.tolist() if row not in taken]
    return np.array([*found, *rest[: n - len(found)]], dtype=np.int64)


def _density(directions: Directions) -> FloatArray:
    """(M,) the mean similarity of each photo to its nearest ones among these."""
    few = min(NEIGHBOURS, len(directions))
    similar = directions @ directions.T
    return np.asarray(np.partition(similar, -few, axis=1)[:, -few:].mean(axis=1), dtype=np.float64)


def uncertain(
    directions: Directions, rows: IntArray, known: IntArray, labels: IntArray, n: int
) -> IntArray:
    """Of `rows`, photos of small margin that differ from one another, the smallest margin first.

    Args:
        labels: of the `known` rows.
    """
    from sklearn.cluster import KMeans

    n = min(n, len(rows))
    if n == 0:
        return rows[:0]
    scores = RidgeClassifier.fitted(directions[known], labels).scores(directions[rows])
    two = -np.partition(-scores, 1, axis=1)[:, :2]
    margin = two[:, 0] - two[:, 1]
    near = np.argsort(margin, kind="stable")[: CANDIDATES * n]
    candidates = rows[near]
    weights = np.clip(1 - margin[near], 1e-3, 1)
    clusters = KMeans(n, n_init=1, random_state=0).fit(
        directions[candidates], sample_weight=weights
    )
    distances = clusters.transform(directions[candidates])
    taken: dict[int, None] = {}
    for cluster in range(n):
        nearest = np.argsort(distances[:, cluster], kind="stable").tolist()
        taken.setdefault(next(i for i in nearest if i not in taken))
    return candidates[sorted(taken)]


# --- the classifier -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RidgeClassifier:
    """Least squares on ±1 for each class, with the penalty that errs least when one is left out.

    In the dual form, so that a few hundred labels take milliseconds whatever D is; the errors of
    leaving one out are closed (Rifkin and Lippert, Notes on Regularized Least Squares, 2007).
    """

    classes: IntArray  # (K,) the labels that there are, sorted
    weights: FloatArray  # (D, K)
    offsets: FloatArray  # (K,)

    @classmethod
    def fitted(cls, directions: Directions, labels: IntArray) -> "RidgeClassifier":
        """Fit to photos (n, D) and their labels (n,)."""
        classes, targets = np.unique(labels, return_inverse=True)
        signs = np.where(targets[:, None] == np.arange(len(classes)), 1.0, -1.0)
        offsets = signs.mean(axis=0)
        x = directions.astype(np.float64)
        values, vectors = np.linalg.eigh(x @ x.T)
        rotated = vectors.T @ (signs - offsets)
        best: tuple[int, FloatArray] | None = None
        for penalty in PENALTIES:
            inverse = 1 / (np.maximum(values, 0) + penalty)
            dual = vectors @ (inverse[:, None] * rotated)
            diagonal = (vectors**2) @ inverse
            left_out = signs - dual / diagonal[:, None]
            wrong = int((left_out.argmax(axis=1) != targets).sum())
            if best is None or wrong <= best[0]:  # of equal ones the largest penalty
                best = wrong, dual
        assert best is not None
        return cls(classes, x.T @ best[1], offsets)

    def scores(self, directions: Directions) -> FloatArray:
        """(M, K) of photos (M, D); the largest is the prediction."""
        found = directions @ self.weights.astype(np.float32) + self.offsets
        return np.asarray(found, dtype=np.float64)

    def predict(self, directions: Directions) -> IntArray:
        """(M,) the predicted labels."""
        return np.asarray(self.classes[self.scores(directions).argmax(axis=1)], dtype=np.int64)


# --- how good it is -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Audit:
    """What the random ones among the labels say of a classifier of all of them."""

    labels: int
    n: int  # random photos, near-duplicates counted once
    right: int
    with_twice: float | None  # the accuracy to expect of twice as many labels

    @property
    def accuracy(self) -> float | None:
        return self.right / self.n if self.n >= FEWEST else None

    @property
    def ci95(self) -> tuple[float, float] | None:
        return wilson_interval(self.right / self.n, self.n) if self.n >= FEWEST else None

    @property
    def sentence(self) -> str:
        """For people."""
        labelled = f"{count(self.labels, 'label')}."
        if self.accuracy is None:
            return f"{labelled} The accuracy is told from {FEWEST} random photos on."
        told = (
            f"{labelled} Accuracy so far {percent(self.accuracy)} (95 % interval "
            f"{interval(self.ci95)}), by {self.n:,} of them that were drawn at random"
        )
        if self.with_twice is None:
            return f"{told}."
        return f"{told}; with twice the labels about {percent(self.with_twice, digits=0)}."


def audit(
    directions: Directions, labels: IntArray, groups: IntArray, digests: Sequence[str]
) -> Audit:
    """Predict each random photo by a classifier of the other labels, in five folds.

    Args:
        directions, labels, groups, digests: as of `next_to_label`.
    """
    known = np.flatnonzero(labels >= 0)
    known = known[np.argsort(np.array(digests)[known])]
    drawn = known[in_audit([digests[i] for i in known.tolist()])]
    drawn = first_of_groups(drawn, groups)
    if len(drawn) < FEWEST or len(np.unique(labels[known])) < 2:
        return Audit(len(known), len(drawn), 0, None)
    right = np.array(
        [_right(directions, labels, groups, known, drawn, share) for share in SHARES], dtype=float
    )
    errors = 1 - right / len(drawn)
    sizes = np.array(SHARES) * len(known)
    _, _, twice = extrapolated(sizes, errors[None], np.ones((1, len(SHARES))))
    with_twice = min(1.0, max(float(1 - twice[0]), 1 - float(errors[-1])))
    return Audit(len(known), len(drawn), int(right[-1]), with_twice)


def _right(
    directions: Directions,
    labels: IntArray,
    groups: IntArray,
    known: IntArray,
    drawn: IntArray,
    share: float,
) -> int:
    """How many of the drawn photos are predicted correctly from a share of the other labels."""
    right = 0
    fold = np.arange(len(drawn)) % AUDIT_EVERY
    for f in range(AUDIT_EVERY):
        held = drawn[fold == f]
        others = known[~np.isin(groups[known], groups[held])]
        others = others[:: round(1 / share)]
        if len(held) and len(np.unique(labels[others])) > 1:
            found = RidgeClassifier.fitted(directions[others], labels[others])
            right += int((found.predict(directions[held]) == labels[held]).sum())
    return right
