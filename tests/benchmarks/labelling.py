"""How many labels in the order of `imgcli label` are worth 450 at random.

    python -m tests.benchmarks.labelling FOLDER --arch NAME --weights FILE [--photos 5000]

FOLDER has class folders with right labels. A third of the photos tests a ridge classifier of frozen
features; of the others ten are labelled at a time. Not among the timed benchmarks.
"""

import argparse
from pathlib import Path

import numpy as np

from imgcli.commands.training_config import training_config
from imgcli.evaluation.labelling import Directions, RidgeClassifier, directions_of, next_to_label
from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import find_photos
from imgcli.photos.near_duplicates import duplicate_groups
from imgcli.records import IntArray, Samples
from imgcli.training.label_features import label_features

LABELS, BATCH = 450, 10
DRAWS = 4  # random orders of each split


def photos_of(folder: Path, most: int) -> Samples:
    """Photos of class folders, at most `most` of them, drawn at random.

    Not those of the smallest hashes: hashes decide which photos tell the accuracy.
    """
    places = find_photos(folder).photos
    paths = sorted(places)
    digests = [str(one) for one in digest_files([folder / path for path in paths])]
    order = np.random.default_rng(0).permutation(len(paths))[:most].tolist()
    classes = sorted({places[path].label for path in paths})
    chosen = [paths[i] for i in order]
    files = [folder / path for path in chosen]
    groups, _ = duplicate_groups(files, [digests[i] for i in order], "near")
    return Samples(
        root=folder,
        paths=tuple(chosen),
        targets=np.array([classes.index(places[path].label) for path in chosen]),
        groups=groups,
        digests=tuple(digests[i] for i in order),
        classes=tuple(classes),
    )


def accuracy(directions: Directions, targets: IntArray, rows: IntArray, test: IntArray) -> float:
    fitted = RidgeClassifier.fitted(directions[rows], targets[rows])
    return float((fitted.predict(directions[test]) == targets[test]).mean())


def one_split(
    directions: Directions, samples: Samples, seed: int
) -> tuple[float, dict[int, float]]:
    """The accuracy of 450 random labels, and that of so many in order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(samples))
    third = len(samples) // 3
    test, pool = order[:third], order[third:]
    at_random = [
        accuracy(directions, samples.targets, rng.permutation(pool)[:LABELS], test)
        for _ in range(DRAWS)
    ]
    labels = np.full(len(pool), -1)
    digests = [samples.digests[i] for i in pool.tolist()]
    found = {}
    while (n := int((labels >= 0).sum())) < LABELS:
        rows = next_to_label(directions[pool], labels, samples.groups[pool], digests, BATCH)
        labels[rows] = samples.targets[pool[rows]]
        known = pool[labels >= 0]
        found[n + len(rows)] = accuracy(directions, samples.targets, known, test)
    return float(np.mean(at_random)), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arch")
    parser.add_argument("--weights")
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--splits", type=int, default=3)
    asked = parser.parse_args()
    samples = photos_of(asked.folder, asked.photos)
    config = training_config(arch=asked.arch, weights=asked.weights, freeze=True)
    features, rows = label_features(config, samples)
    directions, samples = directions_of(features), samples.at(rows)
    each = [one_split(directions, samples, seed) for seed in range(asked.splits)]
    goal = np.mean([at_random for at_random, _ in each])
    curve = {n: np.mean([found[n] for _, found in each]) for n in each[0][1]}
    reached = next((n for n, value in curve.items() if value >= goal), None)
    print(
        f"{asked.folder}: n {len(samples):,}, {len(samples.classes)} classes, "
        f"{asked.splits} splits. {LABELS} at random: {goal:.1%}; reached with {reached} labels. "
        + ", ".join(f"{n}: {value:.1%}" for n, value in curve.items() if n % 50 == 0)
    )


if __name__ == "__main__":
    main()
