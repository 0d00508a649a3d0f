"""How well the model separates two classes, given only those two, and how well is to be expected.

Only the order of the scores is used, so neither class sizes nor a decision threshold enter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from statistics import median, median_low

import numpy as np

from imgcli.evaluation.intervals import group_sums
from imgcli.evaluation.metrics import Z95, log_probs
from imgcli.records import FloatArray, Predictions

OTHERS = 30  # classes that a pair is compared with, where there are more
RESAMPLES = 200  # enough for a standard error
CHUNK = 1_000_000  # photos resampled at once: some ten arrays of 8 MB
AMONG = 0.05  # share of a class that looks more like a photo's own class than the photo does


@dataclass(frozen=True)
class Separability:
    """Two classes a and b by their log-odds log p_a - log p_b.

    `auc` is the probability that of one photo of each class, the one of a has the higher log-odds:
    1 is perfectly separated, 0.5 a random guess.

    `among` is the share of a's photos among those of b: at least 5 % of b look more
    like a than they do, and the share of b's among a. Classes that overlap alike have two like
    shares; where b is a part of a, all of b is among a but much of a is clear of b.
    """

    auc: float
    auc_ci95: tuple[float, float]
    among: tuple[float, float]
    among_error: float  # standard error of the difference of the two shares, by bootstrap


def separability(predictions: Predictions, a: int, b: int, seed: int = 0) -> Separability:
    """Compare the photos of classes a and b, near-duplicates of one class taken as one photo."""
    rng = np.random.default_rng(seed)
    of_a, of_b = log_odds(predictions, a, b)
    passed_a, passed_b = passed(of_a, of_b)
    auc = 1.0 - float(passed_a.mean())
    at_once = min(RESAMPLES, max(1, CHUNK // (len(of_a) + len(of_b))))
    differences = []
    for start in range(0, RESAMPLES, at_once):
        n = min(at_once, RESAMPLES - start)
        again_a, again_b = passed(
            rng.choice(of_a, (n, len(of_a))), rng.choice(of_b, (n, len(of_b)))
        )
        differences.append((again_b >= AMONG).mean(axis=1) - (again_a >= AMONG).mean(axis=1))
    difference = np.concatenate(differences)
    return Separability(
        auc=auc,
        auc_ci95=auc_interval(auc, len(of_a), len(of_b)),
        among=(float((passed_a >= AMONG).mean()), float((passed_b >= AMONG).mean())),
        among_error=float(difference.std(ddof=1)),
    )


def log_odds(predictions: Predictions, a: int, b: int) -> tuple[FloatArray, FloatArray]:
    """Log p_a - log p_b of the photos of a and of b, one mean per near-duplicate group."""
    return (
        log_odds_of(mean_logs(predictions, a), a, b),
        log_odds_of(mean_logs(predictions, b), a, b),
    )


def log_odds_of(logs: FloatArray, a: int, b: int) -> FloatArray:
    """Log p_a - log p_b from logarithms of probabilities `(G, K)`."""
    odds: FloatArray = logs[:, a] - logs[:, b]
    return odds


def mean_logs(predictions: Predictions, target: int) -> FloatArray:
    """The logarithms of the probabilities of a class's photos, mean per near-duplicate group.

    Returns:
        `(G, K)`, a row per group that has photos of the class.
    """
    rows = predictions.targets == target
    groups = predictions.groups[rows]
    _, sizes = np.unique(groups, return_counts=True)
    return group_sums(log_probs(predictions.probs[rows]), groups) / sizes[:, None]


def passed(of_a: FloatArray, of_b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each photo, the share of the other class that looks more like its own; ties count half.

    Works along the last axis. Both means are 1 - AUC (placement values, Hanley and Hajian-Tilaki
    1997).
    """
    m, n = of_a.shape[-1], of_b.shape[-1]
    ranks = average_ranks(np.concatenate([of_a, of_b], axis=-1))
    below_a = ranks[..., :m] - average_ranks(of_a)  # photos of b below each photo of a
    below_b = ranks[..., m:] - average_ranks(of_b)
    return 1.0 - below_a / n, below_b / m


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks along the last axis from 1, of equal values their mean: scipy.stats' `rankdata`."""
    ranks = np.empty(values.shape)
    for place in np.ndindex(values.shape[:-1]):
        row, ordered = values[place], np.sort(values[place])
        ends = (np.searchsorted(ordered, row, side) for side in ("left", "right"))
        ranks[place] = (sum(ends) + 1) / 2
    return ranks


def auc_interval(auc: float, m: int, n: int) -> tuple[float, float]:
    """The 95 % interval of an AUC found on m photos of one class and n of the other.

    Hanley and McNeil's variance taken at the bound, not at the estimate (Newcombe 2006, method 5),
    so that it does not shrink to nothing where all photos are told apart.
    """

    def variance(theta: float) -> float:
        pairs = (m + n) / 2 - 1
        terms = 1 + pairs * (1 - theta) / (2 - theta) + pairs * theta / (1 + theta)
        return theta * (1 - theta) * terms / (m * n)

    def beyond(theta: float) -> float:
        return (theta - auc) ** 2 - Z95**2 * variance(theta)

    inside = min(max(auc, 1e-9), 1 - 1e-9)  # the variance is 0 at 0 and 1, where no root is sought
    low = root_between(beyond, inside, 0.0) if auc > 0 else 0.0
    high = root_between(beyond, inside, 1.0) if auc < 1 else 1.0
    return min(low, auc), max(high, auc)  # a root is found to 1e-18 only


def root_between(function: Callable[[float], float], below: float, above: float) -> float:
    """Where a function goes from below 0 to above, by bisection to the last bit that counts."""
    for _ in range(60):
        middle = (below + above) / 2
        if function(middle) < 0:
            below = middle
        else:
            above = middle
    return (below + above) / 2


# --- expected -------------------------------------------------------------------------------------


class ExpectedAuc:
    """The AUC to expect of two classes, by how well each is separated from the other classes.

    Some classes are hard, some are predicted too readily: such a class is badly separated from
    every other one. Two classes are one only if they are separated worse than that explains.
    """

    def __init__(self, predictions: Predictions) -> None:
        occur = np.unique(predictions.targets).tolist()
        self.classes = occur  # by number, those with photos
        self._logs = {target: mean_logs(predictions, target) for target in occur}
        self._losses: dict[tuple[int, int], float] = {}
        spread = np.linspace(0, len(occur) - 1, min(OTHERS, len(occur))).round().astype(int)
        self._others = [occur[i] for i in spread]

    def expected_loss(self, a: int, b: int) -> float:
        """The expected loss, 1 - AUC, of classes a and b.

        Losses are modelled as products, one factor per class: how hard the one class is, and how
        readily the other is predicted. Medians, so that a third class of the same kind is no
        excuse. With three classes there are no others to divide by: then the larger loss of the two
        against the third. With two there is nothing to compare with, and the loss is 0.5.
        """
        others = [c for c in self._others if c not in (a, b)]
        if not others:
            return 0.5
        # Of the two in the middle the lower: half of the classes may be of kinds that go together.
        middle = median_low if len(others) > 3 else median
        of_a, of_b = (middle([self.loss(x, c) for c in others]) for x in (a, b))
        if len(others) < 2:
            return max(of_a, of_b)
        among = median([self.loss(c, d) for c, d in combinations(others, 2)])
        return of_a * of_b / among

    def loss(self, a: int, b: int) -> float:
        """1 - AUC of two classes; never 0, for so many photos cannot show that."""
        pair = min(a, b), max(a, b)
        if pair not in self._losses:
            of_a, of_b = (log_odds_of(self._logs[label], *pair) for label in pair)
            least = 0.5 / np.sqrt(len(of_a) * len(of_b))
            of_b = np.sort(of_b)
            below, at_most = (of_b.searchsorted(of_a, side) for side in ("left", "right"))
            loss = 1.0 - (below + at_most) / (2 * len(of_b))  # as by `passed`, sooner
            self._losses[pair] = float(np.clip(loss.mean(), least, 0.5))
        return self._losses[pair]
