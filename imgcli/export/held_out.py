"""The photos that an exported file is compared on, and calibrated on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgcli import ledger
from imgcli.errors import DataError
from imgcli.locations import Location
from imgcli.photos.dataset import Dataset, load_dataset
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.runs import Run

CALIBRATION = 200  # training photos that int8 is calibrated on
MOST_SCORED = 2000  # labelled photos on which the accuracy lost is measured


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Photos of one part of the runs' dataset."""

    dataset: Dataset
    part: str  # "test", "val" or, where the dataset has neither, "train"
    rows: IntArray

    @property
    def files(self) -> list[Location]:
        return [self.dataset.samples.file(int(row)) for row in self.rows]

    @property
    def calibration(self) -> list[Location]:
        """Training photos, some of every class."""
        samples = self.dataset.samples
        rows = spread(self.dataset.split.train, CALIBRATION)
        return [samples.file(int(row)) for row in rows]


def dataset_of(run: Run, data: Path | None) -> Dataset:
    """The dataset of a run, wherever it is now.

    Raises:
        DataError: it is not there.
    """
    place = data or run.data
    if not place.is_dir():
        raise DataError(
            f"The dataset '{place}' is not there, and an exported file is compared with imgcli on "
            "its photos. Name the dataset: --data DIR"
        )
    return load_dataset(place, config=run.config.data)


def for_parity(dataset: Dataset, most: int) -> HeldOut:
    """Photos to compare probabilities on: no label is looked at, so the ledger is not concerned."""
    split = dataset.split
    for part in ("test", "val", "train"):
        rows = split.parts.get(part)
        if rows is not None and len(rows):
            return HeldOut(dataset, part, spread(rows, most))
    raise AssertionError("a dataset without photos")


def for_accuracy(dataset: Dataset) -> HeldOut | None:
    """Labelled photos that no run was trained on: validation photos, else the test part."""
    for part in ("val", "test"):
        rows = dataset.split.parts.get(part)
        if rows is not None and len(rows):
            return HeldOut(dataset, part, spread(rows, MOST_SCORED))
    return None


def enter(runs: list[Run], photos: HeldOut, why: str) -> None:
    """Enter the evaluation of test photos in the ledger of each run."""
    if photos.part == "test":
        samples = photos.dataset.samples
        for run in runs:
            ledger.enter(run, [samples.digests[row] for row in photos.rows], why)


def as_predictions(
    photos: HeldOut, kept: IntArray, classes: tuple[str, ...], probs: FloatArray
) -> Predictions:
    """Probabilities `(M, K)` as predictions, of those of the photos that are kept.

    Args:
        kept: (M,) positions among the photos.
    """
    samples, rows = photos.dataset.samples, photos.rows[kept]
    if samples.classes != classes:
        raise DataError(
            f"'{samples.root}' has other classes than the run; the accuracy that is lost cannot "
            "be measured there. Name the run's own dataset: --data DIR"
        )
    normal = probs / probs.sum(axis=1, keepdims=True)
    return Predictions(
        classes=classes,
        indices=rows,
        targets=samples.targets[rows],
        probs=normal,
        fold=np.full(len(rows), -1, np.int64),
        groups=samples.groups[rows],
        paths=tuple(samples.paths[row] for row in rows),
        on=photos.part,
    )


def spread(rows: IntArray, most: int) -> IntArray:
    """At most so many of the rows, evenly spread over them; classes follow one another in them."""
    if len(rows) <= most:
        return rows
    found: IntArray = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
    return found
