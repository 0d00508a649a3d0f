"""The frozen things that travel between the rooms. Numpy only.

A photo is its row number *i* all the way: `samples.paths[i]`, `samples.targets[i]`, row *i* of the
features, `probs` row with `indices == i`.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from imgcli.config import Fit
from imgcli.locations import Location

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

UNSURE = "unsure"  # in the place of a class: no answer
NONE_OF_THESE = "none of these"  # in the place of a class: a photo unlike those of every class


@dataclass(frozen=True)
class Rejected:
    """A file that is not used, and why; it is listed, never swapped for another."""

    path: str
    reason: str


class LabelledLocation(NamedTuple):
    """A photo that stays where it is, and its label."""

    label: str  # the name of its class, which can be a folder's
    source: str  # see `locations`
    offset: int | None = None  # bytes, of a member of a shard
    size: int = 0  # bytes, of a member of a shard or an object behind a URI
    etag: str = ""  # of the object that it is, or is in


@dataclass(frozen=True, eq=False)
class PhotosInPlace:
    """Labelled photos that are to be read where they are."""

    name: str  # of the shards or the table, as it was typed
    folder: str  # that the sources are relative to
    photos: Sequence[LabelledLocation]
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...] = ()  # what was taken for what, in sentences


@dataclass(frozen=True, eq=False)
class Samples:
    """N labelled photos, in one order for every part of the program.

    Made by `imgcli.photos.dataset` alone. `classes` is sorted by plain code point and a target is a
    position in it, so a class keeps its number whatever a folder or a part lacks.
    """

    root: Path
    paths: tuple[str, ...]  # (N,) relative to root, with "/"
    targets: IntArray  # (N,) positions in classes; -1 for a photo in no part that has no label
    groups: IntArray  # (N,) photos with one number are the same photo, or nearly
    digests: tuple[str, ...]  # (N,) SHA-256 of the file's bytes, hexadecimal
    classes: tuple[str, ...]  # (K,)
    locations: tuple[Location, ...] | None = None  # (N,) of photos in place, not below root

    def __post_init__(self) -> None:
        n = len(self.paths)
        assert self.locations is None or len(self.locations) == n
        assert self.targets.shape == self.groups.shape == (n,) and len(self.digests) == n
        assert list(self.classes) == sorted(set(self.classes))

    def __len__(self) -> int:
        return len(self.paths)

    def at(self, rows: IntArray) -> Self:
        """Some of the samples, in this order."""
        return replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            targets=self.targets[rows],
            groups=self.groups[rows],
            digests=tuple(self.digests[row] for row in rows),
            locations=self.locations and tuple(self.locations[row] for row in rows),
        )

    def file(self, index: int) -> Location:
        """Where the photo of row `index` is."""
        return self.locations[index] if self.locations else self.root / self.paths[index]

    def files(self) -> list[Location]:
        """Where each photo is."""
        if self.locations is not None:
            return list(self.locations)
        return [os.path.join(self.root, path) for path in self.paths]  # a Path takes a kilobyte

    def counts(self, indices: IntArray | None = None) -> IntArray:
        """Photos per class, (K,), of all rows or of `indices`."""
        targets = self.targets if indices is None else self.targets[indices]
        return np.bincount(targets[targets >= 0], minlength=len(self.classes)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of `Samples` per part: every row in exactly one part, no group in two."""

    parts: Mapping[str, IntArray]  # "train", "test" and, where asked for, "val"
    seed: int | None = None  # None: the parts were made elsewhere
    ratio: float | None = None  # share of the photos that is not test

    def __post_init__(self) -> None:
        rows = np.concatenate(list(self.parts.values()))
        assert len(np.unique(rows)) == len(rows)

    @property
    def train(self) -> IntArray:
        rows: IntArray = self.parts["train"]
        return rows

    @property
    def val(self) -> IntArray | None:
        return self.parts.get("val")

    @property
    def test(self) -> IntArray | None:
        return self.parts.get("test")


@dataclass(frozen=True)
class SampleRange:
    """The samples that become black and white in photos of more than 8 bits that do not say it.

    One range for all photos of a folder: they stay as bright beside one another as they are.
    """

    bits: int = 16  # of files of 16 bits per sample: 0 is black, 2^bits - 1 white
    integers: tuple[float, float] | None = None  # black and white of 32-bit integers; None: each
    floats: tuple[float, float] | None = None  # photo by its own values

    def key(self) -> str:
        """For the names of stores of what was decoded with it."""
        more = [
            f"{letter}{low:g}to{high:g}"
            for letter, some in (("i", self.integers), ("f", self.floats))
            if some
            for low, high in [some]
        ]
        return "-".join([f"{self.bits}bit", *more])

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        some = {key: data.get(key) for key in ("integers", "floats")}
        return cls(data["bits"], **{k: (v[0], v[1]) if v else None for k, v in some.items()})


class AveragedViews(NamedTuple):
    """The views of a photo whose mean prediction is its own: test-time augmentation.

    With both there are six: the photo and its two shifts, each mirrored as well.
    """

    flip: bool = False  # its mirror image too
    shift: int = 0  # pixels; moved so far down and right, and so far up and left, too

    def __str__(self) -> str:
        """The views beside the photo, for a sentence."""
        shifts = f"shifts of {'both' if self.flip else 'it'} by {self.shift} px"
        return " and ".join(["its mirror image"] * self.flip + [shifts] * bool(self.shift))


ONE_VIEW = AveragedViews()


@dataclass(frozen=True)
class Preprocess:
    """How a decoded photo becomes the network's input; saved with the weights.

    `squash` resizes the whole photo to `size` × `size`, `crop` resizes its short side and takes the
    centre, `pad` resizes its long side and fills the rest with black. With one channel the network
    sees the photo's luma, normalised by the first mean and std.
    """

    size: int  # pixels, height and width of the network's input
    fit: Fit = "squash"
    crop: float = 1.0  # share of the resized short side that the centre crop keeps, fit="crop" only
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # per channel, of pixels in [0, 1]
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    test_flip: bool = False  # judge the mean of what is said of the photo and of its mirror image
    test_shift: int = 0  # pixels; and of the photo shifted both ways along the diagonal
    channels: Literal[1, 3] = 3  # 1: grey, made of the decoded pixels, which are of 3 all the same
    sample_range: SampleRange | None = None  # None: no training photo has more than 8 bits

    @property
    def test_views(self) -> AveragedViews:
        return AveragedViews(self.test_flip, self.test_shift)

    def describe(self) -> str:
        """One sentence for people."""
        how = {
            "squash": f"the whole photo squashed to {self.size}×{self.size}",
            "crop": f"the centre {self.crop:.0%} of the photo, cut to {self.size}×{self.size}",
            "pad": f"the whole photo padded to {self.size}×{self.size}",
        }[self.fit]
        several = f", judged together with {self.test_views}" if self.test_views != ONE_VIEW else ""
        grey = self.channels == 1
        mean, std = (self.mean[0], self.std[0]) if grey else (self.mean, self.std)
        normalised = f"{'in grey, ' if grey else ''}normalised by mean {mean} and std {std}"
        bits = self.sample_range.bits if self.sample_range else 16
        samples = f", samples of 16 bits from 0 to {(1 << bits) - 1:,}" if bits < 16 else ""
        return f"{how} ({self.interpolation}), {normalised}{samples}{several}"

    def geometry(self) -> str:
        """What decides the pixels before normalising: the key of decoded pixels."""
        crop = f"{self.crop:g}-" if self.fit == "crop" else ""
        samples = f"-{self.sample_range.key()}" if self.sample_range else ""
        return f"{self.size}-{self.fit}-{crop}{self.interpolation}{samples}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        samples = data.get("sample_range")
        return cls(
            **{
                **data,
                "mean": tuple(data["mean"]),
                "std": tuple(data["std"]),
                "sample_range": SampleRange.from_json(samples) if samples else None,
            }
        )


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network said of M photos; the hub from which every judgement is computed.

    Each photo at most once, probabilities sum to 1 in each row, and the network never saw the photo
    in training (`out_of_sample`) unless it says otherwise.
    """

    classes: tuple[str, ...]  # (K,)
    indices: IntArray  # (M,) rows of the dataset's Samples
    targets: IntArray  # (M,) true classes
    probs: FloatArray  # (M, K)
    fold: IntArray  # (M,) the fold that held the photo out; -1 where there are no folds
    groups: IntArray  # (M,) near-duplicate groups, the unit of resampling
    paths: tuple[str, ...]  # (M,) relative to the dataset
    on: str  # the part of the dataset: "test", "train" or "all"
    out_of_sample: bool = True
    digests: tuple[str, ...] = ()  # (M,) SHA-256 of the photos; empty where it is not known
    parts: tuple[str, ...] = ()  # (M,) of photos of "all" parts, the part of each

    def __post_init__(self) -> None:
        m, k = self.probs.shape
        assert len(self.classes) == k and len(self.paths) == m and len(self.digests) in (0, m)
        assert len(self.parts) in (0, m)
        assert self.indices.shape == self.targets.shape == (m,)
        assert self.fold.shape == self.groups.shape == (m,)
        assert len(np.unique(self.indices)) == m
        assert np.allclose(self.probs.sum(axis=1), 1.0, atol=1e-4)

    def __len__(self) -> int:
        return len(self.indices)

    def at(self, rows: IntArray) -> Self:
        """Some of the predictions, in this order."""
        return replace(
            self,
            indices=self.indices[rows],
            targets=self.targets[rows],
            probs=self.probs[rows],
            fold=self.fold[rows],
            groups=self.groups[rows],
            paths=tuple(self.paths[row] for row in rows),
            digests=tuple(self.digests[row] for row in rows if self.digests),
            parts=tuple(self.parts[row] for row in rows if self.parts),
        )

    @cached_property
    def preds(self) -> IntArray:
        """(M,) the most probable class of each photo; of equal ones, the first."""
        return np.asarray(self.probs.argmax(axis=1), dtype=np.int64)

    @property
    def folds(self) -> int | None:
        """How many folds there were; None without folds."""
        return None if len(self) == 0 or self.fold[0] < 0 else int(self.fold.max()) + 1


@dataclass(frozen=True)
class Summary:
    """One figure with its spread: S in the JSON contract.

    `value` is the pooled figure over all photos, `ci95` its 95 % interval; the rest describes the
    figure of each fold and is None without folds.
    """

    value: float
    ci95: tuple[float, float] | None
    folds: tuple[float, ...] | None = None
    mean: float | None = None
    std: float | None = None  # sample standard deviation, n - 1
    median: float | None = None
    iqr: float | None = None
    min: float | None = None
    max: float | None = None
    effective_n: float | None = None  # independent photos that would tell as much


@dataclass(frozen=True)
class ClassFigures:
    """One class: n photos, and how far its predictions can be trusted.

    `precision` is None for a class that was never predicted: there is nothing to be precise about.
    """

    name: str
    n: int  # photos of this class
    predicted: int  # photos predicted as this class
    precision: float | None
    precision_ci95: tuple[float, float] | None  # Wilson, near-duplicates counted once
    recall: float | None
    recall_ci95: tuple[float, float] | None
    f1: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The judgement of one set of predictions.

    Row i, column j of `confusion` counts photos of class i predicted as j.
    """

    on: str
    folds: int | None
    n: int
    classes: tuple[str, ...]
    confusion: IntArray  # (K, K)
    accuracy: Summary
    macro_precision: Summary
    macro_f1: Summary
    per_class: tuple[ClassFigures, ...]
    ece: float  # expected calibration error, 15 equal-width bins
    train: Mapping[str, Summary] | None = None  # the same three figures on the folds' train sides
    test_ci95: tuple[float, float] | None = None  # of the accuracy on as many new photos
    repeats: int = 1  # how often the folds were dealt; the figures are pooled over them

    @property
    def baseline(self) -> tuple[str, float]:
        """The largest class of the scored photos, and the accuracy of always answering it."""
        sizes = self.confusion.sum(axis=1)
        largest = int(sizes.argmax())
        return self.classes[largest], float(sizes[largest] / sizes.sum())


@dataclass(frozen=True)
class MergeSuggestion:
    """Classes that the model cannot tell apart, and what merging them would do."""

    classes: tuple[str, ...]
    kind: Literal["same", "overlap", "part-of"]
    score: float  # larger is stronger; the list is sorted by it
    evidence: Mapping[str, Any]
    accuracy_after: float
    photos: int  # photos of these classes that were scored
    reason: str  # one sentence


@dataclass(frozen=True)
class LeftOut:
    """Photos of a class that are in no figure."""

    name: str  # of the class
    n: int
    reason: str


@dataclass(frozen=True)
class OtherPhotos:
    """Where photos that a run is evaluated on come from, if not from its own dataset."""

    data: Path
    part: str | None  # of that dataset; None for all photos
    left_out: tuple[LeftOut, ...]
    absent: tuple[str, ...]  # classes of the run without a photo there


@dataclass(frozen=True, eq=False)
class Scored:
    """A run's predictions of photos that it was not trained on."""

    predictions: Predictions
    train_confusions: IntArray | None  # (k, K, K) of the folds, on their training photos
    times: int | None  # evaluations of the test part so far; None if this is not one
    leaks: int
    repeats: tuple[Predictions, ...] = ()  # of the folds, after the first; in the same order
    other: "OtherPhotos | None" = None  # of photos that are not of the run's own dataset


@dataclass(frozen=True, eq=False)
class NewPhotos:
    """Photos without labels, M in all, wherever they are."""

    names: tuple[str, ...]  # their paths; "photos.zip!cat/1.jpg" for a member of an archive
    inner: tuple[str, ...]  # their paths below the folder, archive or table that was named
    # The location of each, or its bytes, or why it cannot be read, in order; each call starts over.
    contents: Callable[[], Iterable[Location | bytes | Rejected]]
    rejected: tuple[Rejected, ...] = ()  # files that are no photos, and photos that are not there
