"""How many labels are wrong, and how probably each is.

A prediction made without a photo's own label contradicts it where the label is wrong or where the
prediction is. The surer predictions are, the rarer are errors of theirs: among the surest ones what
is left are wrong labels. Their share there, taken for all photos, is the estimate. It holds where
clear and difficult photos are labelled with equal care.

How a wrong label looks is known from planted ones: every photo is given another class, drawn at
random, and the class that it is most like besides its own.
"""

from dataclasses import dataclass

import numpy as np

from imgcli.evaluation.metrics import wilson_interval
from imgcli.records import FloatArray, IntArray
from imgcli.text import count, percent

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the photos, the surest
FEWEST = 200  # photos that tell a share; of a small set, half of it do


@dataclass(frozen=True)
class WrongLabels:
    """How many labels of a set are wrong, by its photos with the surest predictions."""

    photos: int  # in the set
    surest: int
    contradicted: int  # of the surest, those labelled as another class than predicted

    @property
    def expected(self) -> float:
        """Labels of the set that are wrong."""
        return self.photos * self.contradicted / max(self.surest, 1)

    @property
    def ci95(self) -> tuple[float, float]:
        """The 95 % interval of `expected` (Wilson)."""
        low, high = wilson_interval(self.contradicted / max(self.surest, 1), max(self.surest, 1))
        return self.photos * low, self.photos * high

    def sentence(self) -> str:
        """The estimate and its ground, for people."""
        low, high = self.ci95
        surest = f"of the {count(self.surest, 'photo')} predicted with most confidence"
        if self.contradicted == 0:
            return (
                f"No label is expected to be wrong (95 % interval 0 to {high:,.0f} of "
                f"{self.photos:,}): {surest}, none is labelled otherwise."
            )
        return (
            f"About {self.expected:,.0f} of {count(self.photos, 'label')} are expected to be wrong "
            f"(95 % interval {low:,.0f} to {high:,.0f}): {surest}, {self.contradicted:,} "
            f"({percent(self.contradicted / self.surest)}) are labelled otherwise."
        )

    def to_json(self) -> dict[str, object]:
        """What a document says of it."""
        return {
            "expected": self.expected,
            "ci95": list(self.ci95),
            "surest": self.surest,
            "contradicted": self.contradicted,
        }


def wrong_labels(log_p: FloatArray, targets: IntArray) -> WrongLabels:
    """Estimate how many labels are wrong.

    Of several shares of the photos the one whose interval ends lowest: as many as tell much, and
    no more than are predicted nearly without error. It is lowest by luck, too, so the largest share
    whose interval holds the centre of that one's stands for it.

    Args:
        log_p: `(M, K)` log probabilities, none made with the photo's own label.
        targets: `(M,)` labels.
    """
    m = len(targets)
    if m == 0:
        return WrongLabels(0, 0, 0)
    ordered = np.sort(log_p, axis=1)
    surest = np.argsort(ordered[:, -2] - ordered[:, -1], kind="stable")
    found = np.cumsum((log_p.argmax(axis=1) != targets)[surest])
    sizes = [n for n in (int(share * m) for share in SHARES) if n >= min(FEWEST, m / 2)] or [m]
    tried = [WrongLabels(m, n, int(found[n - 1])) for n in sizes]
    lowest = min(tried, key=lambda one: one.ci95[1])
    return max(
        (one for one in tried if one.ci95[0] <= sum(lowest.ci95) / 2), key=lambda one: one.surest
    )


def log_odds_against(
    log_p: FloatArray, labels: IntArray, discounts: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Log odds `(M,)` of the likeliest other class against the label, and that class `(M,)`.

    Args:
        discounts: `(K, K)` what is subtracted, by label and other class.
    """
    rows = np.arange(len(labels))
    others = log_p.copy()
    others[rows, labels] = -np.inf
    likeliest = others.argmax(axis=1)
    odds = others[rows, likeliest] - log_p[rows, labels] - discounts[labels, likeliest]
    return odds, likeliest


def planted_odds(
    log_p: FloatArray, targets: IntArray, discounts: FloatArray, seed: int = 0
) -> FloatArray:
    """The log odds `(2 M,)` that wrong labels have: of a class at random, and of the likeliest."""
    m, k = log_p.shape
    at_random = (targets + np.random.default_rng(seed).integers(1, k, m)) % k
    _, likeliest = log_odds_against(log_p, targets, discounts)
    planted = (log_odds_against(log_p, labels, discounts)[0] for labels in (at_random, likeliest))
    return np.concatenate(list(planted))


def probability_wrong(odds: FloatArray, planted: FloatArray, expected: float) -> FloatArray:
    """The probability that each label is wrong, `(M,)`, from 0 to 1, larger with larger odds.

    Of so many wrong labels a share has larger odds than any value, known from the planted ones;
    what all photos above it are in number is known too. Where the one grows with the other, the
    slope of the curve's least concave majorant is the probability.

    Args:
        odds: `(M,)` log odds against the labels.
        planted: those of wrong labels.
        expected: how many labels are wrong.
    """
    probability = np.zeros(len(odds))
    order = np.argsort(-odds, kind="stable")
    order = order[odds[order] > 0]
    planted = np.sort(planted)
    above = len(planted) - np.searchsorted(planted, odds[order], "left")
    added = np.diff(expected * above / max(len(planted), 1), prepend=0.0)
    blocks: list[tuple[float, int]] = []  # mean and size, each mean below the one before
    for value in added.tolist():
        mean, size = value, 1
        while blocks and blocks[-1][0] <= mean:
            earlier, n = blocks.pop()
            mean, size = (earlier * n + mean * size) / (n + size), n + size
        blocks.append((mean, size))
    means, sizes = zip(*blocks, strict=True) if blocks else ((), ())
    probability[order] = np.minimum(np.repeat(means, sizes), 1.0)
    return probability
