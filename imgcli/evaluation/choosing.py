"""Which of several candidates is best on the same held-out photos, and which are hopeless."""

from collections.abc import Mapping
from dataclasses import dataclass

from imgcli.evaluation import metrics
from imgcli.evaluation.compare import Difference, align, compare
from imgcli.records import Predictions

# Accuracy that more training photos may still win back: a candidate is dropped on a share of the
# photos if it is behind by more than this, with all of the 95 % interval of the difference.
MARGIN = 0.01


@dataclass(frozen=True)
class Standings:
    """Candidates by accuracy, and how far each is behind the first."""

    ranked: tuple[str, ...]  # best first; of equals, as they were given
    # Accuracy of the first minus that of each other; p-values by the exact McNemar test, corrected
    # for all pairs of candidates, so that they hold for the first, whichever that is.
    behind: Mapping[str, Difference]

    @property
    def best(self) -> str:
        return self.ranked[0]

    @property
    def hopeless(self) -> tuple[str, ...]:
        """Those that are not judged on more photos."""
        return tuple(name for name, found in self.behind.items() if found.ci95[0] > MARGIN)


def standings(candidates: Mapping[str, Predictions]) -> Standings:
    """Rank candidates by their predictions of the same photos in the same folds."""
    candidates, _ = align(candidates)
    accuracy = metrics.FIGURES["accuracy"]
    figures = {name: float(accuracy(metrics.confusion_of(p))) for name, p in candidates.items()}
    ranked = tuple(sorted(candidates, key=lambda name: -figures[name]))
    if len(ranked) == 1:
        return Standings(ranked, {})
    pairs = compare(candidates, figures=["accuracy"])
    return Standings(
        ranked,
        {pair.runs[1]: pair.differences["accuracy"] for pair in pairs if pair.runs[0] == ranked[0]},
    )
