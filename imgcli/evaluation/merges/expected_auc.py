"""How well two classes would be told apart if nothing were special about the two of them.

Some classes are hard, some are named too readily: such a class is badly told from every other one.
Two classes are one only if they are told apart worse than that explains.
"""

from itertools import combinations
from statistics import median, median_low

import numpy as np

from imgcli.evaluation.merges.separability import log_odds_of, mean_logs, passed
from imgcli.records import FloatArray, Predictions

OTHERS = 30  # classes that a pair is measured by, where there are more


class Contrast:
    """What each class loses, 1 - AUC, against other classes; each pair is looked at once."""

    def __init__(self, predictions: Predictions) -> None:
        occur = np.unique(predictions.targets).tolist()
        self._logs = {target: mean_logs(predictions, target) for target in occur}
        self._losses: dict[tuple[int, int], float] = {}
        spread = np.linspace(0, len(occur) - 1, min(OTHERS, len(occur))).round().astype(int)
        self._others = [occur[i] for i in spread]

    def usual(self, a: int, b: int) -> float:
        """The loss to expect of classes a and b, by what they and others lose against others.

        Losses are taken to be products, one factor per class, as where errors fall by how hard the
        one class is and how readily the other is named. Medians, so that a third class of the same
        kind is no excuse. With three classes there are no others to divide by: then the larger of
        what the two lose against the third. With two there is nothing to compare with, and a coin
        would be usual.
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
            of_a, of_b = self._log_odds(*pair)
            least = 0.5 / np.sqrt(len(of_a) * len(of_b))
            self._losses[pair] = float(np.clip(passed(of_a, of_b)[0].mean(), least, 0.5))
        return self._losses[pair]

    def _log_odds(self, a: int, b: int) -> tuple[FloatArray, FloatArray]:
        return log_odds_of(self._logs[a], a, b), log_odds_of(self._logs[b], a, b)
