"""Labels flipped on purpose and looked for again: imgcli beside cleanlab on the same probabilities.

Of every 20 labels one is flipped, to any class or to the class that its own is most taken for. What
is counted is what is missed: among as many photos as were flipped, ranked first, the share that was
not; and 1 less the average precision. The probabilities are out-of-fold, by softmax regressions on
features of a frozen network, learnt from the flipped labels.
"""

from collections.abc import Iterator

import numpy as np
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from imgcli.evaluation.label_errors import neighbours, suspicion
from imgcli.records import FloatArray, IntArray, Predictions
from tests.benchmarks.flipped import confused_with, flip, out_of_fold
from tests.benchmarks.heads import some_features
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result

SEEDS = 5
PEERS = ("self_confidence", "normalized_margin")  # cleanlab's scores; the first is its usual one
WAYS = {"features": "probabilities and neighbours", "none": "probabilities alone"}


def measure(setting: Setting) -> Iterator[Result]:
    name, features, targets = some_features(setting)
    classes = int(targets.max()) + 1
    partner = confused_with(features, targets)
    for kind in ("random", "confusable"):
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(setting.rounds(SEEDS)):
            labels, flipped = flip(targets, kind, partner, 100 + seed)
            probs = out_of_fold(features, labels, classes, seed)
            for way, suspected in rankings(features, labels, probs).items():
                found.setdefault(way, []).append(missed(suspected, flipped))
        for way, words in WAYS.items():
            for peer in PEERS:
                for place, what in enumerate(("first n", "average precision")):
                    yield Result(
                        f"{kind} flips, {name}, {words}: missed, by {what}",
                        tuple(one[place] for one in found[way]),
                        tuple(one[place] for one in found[peer]),
                        f"cleanlab {peer}",
                        unit="",
                        goal=Goal("cost", 1.0),
                    )


def rankings(
    features: NDArray[np.floating], labels: IntArray, probs: FloatArray
) -> dict[str, FloatArray]:
    """How suspect each label is, by everyone."""
    m = len(labels)
    said = Predictions(
        classes=tuple(f"{k:03}" for k in range(probs.shape[1])),
        indices=np.arange(m),
        targets=labels,
        probs=probs,
        fold=np.full(m, -1),
        groups=np.arange(m),
        paths=tuple(map(str, range(m))),
        on="train",
    )
    return {
        "features": suspicion(said, features, neighbours(features, said))[0],
        "none": suspicion(said, None, None)[0],
        **{peer: -get_label_quality_scores(labels, probs, method=peer) for peer in PEERS},
    }


def missed(suspected: FloatArray, flipped: NDArray[np.bool_]) -> tuple[float, float]:
    """What is not found among the first n, and by average precision."""
    first = np.argsort(-suspected, kind="stable")[: flipped.sum()]
    precision = float(average_precision_score(flipped, suspected))
    return 1 - float(flipped[first].mean()), 1 - precision


if __name__ == "__main__":
    main(measure, __doc__)
