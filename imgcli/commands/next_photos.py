"""`imgcli.next_photos`: which photos to label next, and how good what is labelled is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgcli.commands.folders import optional_path
from imgcli.commands.results import Result
from imgcli.commands.training_config import training_config
from imgcli.errors import WrongUsage
from imgcli.label_studio import task
from imgcli.text import csv_text

if TYPE_CHECKING:
    from imgcli.evaluation.labelling import Audit, Directions, RidgeClassifier
    from imgcli.photos.to_label import ToLabel
    from imgcli.records import IntArray, Rejected

Form = Literal["csv", "label-studio"]
RAW = Path("raw")  # where labelled photos are by default


@dataclass(frozen=True)
class NextPhoto:
    """A photo to label."""

    path: str
    guess: str | None  # the class that it looks like; None before two classes have labels
    random: bool  # whether it was drawn at random, for the accuracy


@dataclass(frozen=True, eq=False, repr=False)
class NextResult(Result):
    """The photos to label next, the most valuable first."""

    folder: Path
    labelled: Path
    photos: tuple[NextPhoto, ...]
    left: int  # photos without a label, near-duplicates counted once
    classes: Mapping[str, int]  # labels so far
    audit: "Audit"
    rejected: "tuple[Rejected, ...]"

    def to_json(self) -> dict[str, Any]:
        """The document of `imgcli next --json`."""
        from imgcli.files import as_json

        found = self.audit
        return {
            "dir": str(self.folder),
            "labelled": str(self.labelled),
            "next": [as_json(photo) for photo in self.photos],
            "left": self.left,
            "classes": dict(self.classes),
            "labels": found.labels,
            "random": found.n,
            "accuracy": found.accuracy,
            "ci95": as_json(found.ci95),
            "with_twice": found.with_twice,
            "rejected": [as_json(item) for item in self.rejected],
        }

    def to_text(self, form: Form) -> str:
        """The photos as CSV, or as tasks that Label Studio imports."""
        if form == "csv":
            rows = [(p.path, p.guess or "", "yes" if p.random else "no") for p in self.photos]
            return csv_text([("path", "guess", "random"), *rows])
        return json.dumps([task(photo.path, photo.guess) for photo in self.photos], indent=1) + "\n"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "photos", f"{len(self.photos):,} of {self.left:,} without a label"
        yield "so far", self.audit.sentence


def next_photos(
    folder: str | Path,
    n: int = 50,
    *,
    labelled: str | Path | None = None,
    classes: Sequence[str] = (),
    arch: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
) -> NextResult:
    """Choose the photos to label next: typical ones first, then those between two classes.

    Nothing is remembered but features: what is labelled is seen by the contents of `labelled`.

    Args:
        folder: photos without labels.
        labelled: class folders of those labelled so far; raw/ by default.
        classes: further classes.
        arch: a network of timm or torchvision, frozen; by default those that are installed.
        weights: of the network, where they are not the published ones.

    Raises:
        WrongUsage: fewer than one photo is asked for.
        DataError: no such folder, or no photo in it without a label.
    """
    if n < 1:
        raise WrongUsage(f"-n {n} asks for no photo; use at least 1.")
    pool = LabelPool(Path(folder), optional_path(labelled) or RAW, classes, arch, weights, device)
    found = pool.next(n)
    return NextResult(
        folder=pool.folder,
        labelled=pool.labelled,
        photos=tuple(pool.photo(row, guess) for row, guess in found),
        left=pool.left,
        classes=pool.counts(),
        audit=pool.audit(),
        rejected=pool.to_label.rejected,
    )


class LabelPool:
    """Photos to label with their features, and the labels that they have by now.

    Raises:
        DataError: no such folder, or no photo in it without a label.
    """

    def __init__(
        self,
        folder: Path,
        labelled: Path,
        classes: Sequence[str],
        arch: str | None = None,
        weights: str | Path | None = None,
        device: str = "auto",
    ) -> None:
        from imgcli.evaluation.labelling import directions_of
        from imgcli.photos.to_label import photos_to_label
        from imgcli.training.label_features import label_features

        self.folder, self.labelled = folder, labelled
        config = training_config(arch=arch, freeze=True, weights=weights)
        found = photos_to_label(folder, labelled, classes)
        features, rows = label_features(config, found.samples, device)
        self.to_label: ToLabel = found
        samples = found.samples.at(rows)
        self.names: Sequence[str] = [found.names[row] for row in rows.tolist()]
        self.files: Sequence[Path] = [Path(path) for path in samples.paths]
        self.digests: Sequence[str] = samples.digests
        self.classes = list(samples.classes)
        self._groups: IntArray = samples.groups
        self.labels: IntArray = samples.targets.copy()
        self._directions: Directions = directions_of(features)
        self._classifier: RidgeClassifier | None = None

    @property
    def left(self) -> int:
        """Photos without a label, near-duplicates of labelled ones and of each other left out."""
        import numpy as np

        done = np.isin(self._groups, self._groups[self.labels >= 0])
        return len(np.unique(self._groups[~done]))

    def label(self, row: int, name: str) -> None:
        """Give a photo a label, of a class that may be new."""
        if name not in self.classes:
            self.classes.append(name)  # labels are positions, so it comes last
        self.labels[row] = self.classes.index(name)

    def unlabel(self, row: int) -> None:
        """Take the label of a photo back."""
        self.labels[row] = -1

    def next(self, n: int, without: Sequence[int] = ()) -> list[tuple[int, str | None]]:
        """The rows to label next, each with the class that it looks like.

        Args:
            without: rows that are passed over.
        """
        import numpy as np

        from imgcli.evaluation.labelling import RidgeClassifier, next_to_label

        groups = self._groups.copy()
        skipped = np.array(without, dtype=np.int64)
        labels = self.labels.copy()
        keep = np.setdiff1d(np.arange(len(labels)), skipped)
        digests = [self.digests[i] for i in keep.tolist()]
        chosen = keep[next_to_label(self._directions[keep], labels[keep], groups[keep], digests, n)]
        known = np.flatnonzero(labels >= 0)
        if len(np.unique(labels[known])) < 2:
            return [(row, None) for row in chosen.tolist()]
        fitted = RidgeClassifier.fitted(self._directions[known], labels[known])
        guesses = fitted.predict(self._directions[chosen]).tolist()
        return [(row, self.classes[k]) for row, k in zip(chosen.tolist(), guesses, strict=True)]

    def audit(self) -> "Audit":
        """How good a classifier of the labels so far is."""
        from imgcli.evaluation.labelling import audit

        return audit(self._directions, self.labels, self._groups, self.digests)

    def counts(self) -> dict[str, int]:
        """Labels so far, by class."""
        found = {name: int((self.labels == k).sum()) for k, name in enumerate(self.classes)}
        return dict(sorted(found.items()))

    def photo(self, row: int, guess: str | None) -> NextPhoto:
        """A row as the list of photos has it."""
        from imgcli.evaluation.labelling import in_audit

        return NextPhoto(self.names[row], guess, bool(in_audit([self.digests[row]])[0]))
