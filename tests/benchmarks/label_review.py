"""The list of labels to review: how long it is, how much of it is wrong, how much is missed.

    python -m tests.benchmarks.label_review DATASET WEIGHTS [--seeds 3]

DATASET has a train part with right labels, WEIGHTS are those of mobilenetv2_100. Labels are flipped
to any class or to the one that their own is most taken for, ten folds are fitted on frozen
features, and the list is taken as `imgcli check --labels` gives it. Not among the timed benchmarks.
"""

import argparse
from pathlib import Path

from imgcli.config import TrainConfig
from imgcli.evaluation.label_errors import review_labels
from imgcli.training.context import make_context
from imgcli.training.inputs import FeatureInputs
from tests.benchmarks.flipped import confused_with, flip, out_of_fold
from tests.support.predictions import predictions

CASES = (("none", 0.0), ("random", 0.02), ("random", 0.05), ("confusable", 0.05))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    config = TrainConfig.of(
        arch="mobilenetv2_100",
        model_args={"pad_type": "same"},
        freeze=True,
        weights=asked.weights,
    )
    context = make_context(config, asked.dataset)
    assert isinstance(context.inputs, FeatureInputs)
    rows = context.rows("train")
    features = context.inputs.features[rows].cpu().numpy()
    samples = context.dataset.samples
    targets, groups = samples.targets[rows], samples.groups[rows]
    partner = confused_with(features, targets)
    for kind, share in CASES:
        for seed in range(asked.seeds):
            labels, flipped = flip(targets, kind, partner, 100 + seed, share)
            probs = out_of_fold(features, labels, len(partner), seed)
            review = review_labels(predictions(labels, probs, groups=groups), features)
            listed = [issue.index for issue in review.issues]
            wrong = int(flipped[listed].sum())
            accuracy = (probs.argmax(axis=1) == targets).mean()
            low, high = review.wrong.ci95
            print(
                f"{kind} {share:.0%} seed {seed}: n {len(rows):,}, accuracy {accuracy:.1%}, "
                f"flipped {flipped.sum()}, expected {review.wrong.expected:.0f} "
                f"({low:.0f}-{high:.0f}), listed {len(listed)}, expected of them "
                f"{review.expected:.0f}, flipped of them {wrong}"
            )


if __name__ == "__main__":
    main()
