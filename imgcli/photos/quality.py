"""Quality issues: of single photos, and of photos that show the same.

The limits leave good photos alone. Of 2,056 photos of caltech30 one is reported as blurred and none
as dark or blank, of 30,000 pictures of CIFAR-10 one is reported as dark, of 1,000 MNIST digits
none. Of 500 photos of caltech30 blurred by a Gaussian of 3 pixels 91 % are found, by 4 pixels 99 %.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from imgcli.class_folders import Place
from imgcli.image_types import SUFFIXES
from imgcli.photos import fingerprint
from imgcli.photos.candidates import BLOCK, blocks
from imgcli.photos.decode import FORMATS
from imgcli.photos.metadata import Metadata
from imgcli.photos.near_duplicates import StoredFingerprints
from imgcli.records import FloatArray, IntArray
from imgcli.text import count, listed, percent

Bools = NDArray[np.bool_]

TINY = 64  # pixels of the short side, and half of the median: a dataset of digits is no outlier
LONG = 3.5  # times as long as wide, and twice the median
BLANK = 2.0  # grey levels, standard deviation over the thumbnail
DARK = 64.0  # grey levels, below which nearly all of a dark photo is
NEARLY_ALL = 0.98
BLURRED = 0.225  # sharpness; see metadata.py
FAR = 2.5  # robust standard deviations of log sharpness below the median of its class
ENOUGH = 20  # photos of a class to judge one by; those of smaller ones are judged by all photos
COMMON = 0.1  # share of the photos of a class, or of all, from which a mark is how they are
FEWEST = 10  # such photos

FORMAT_OF = {suffix: name.upper() for name, some in SUFFIXES.items() for suffix in some}


@dataclass(frozen=True)
class Issue:
    """Something to know about a photo, a class or all of it."""

    kind: str
    detail: str
    path: str | None = None
    label: str | None = None  # of a class
    paths: tuple[str, ...] = ()  # of a group; the first is `path`
    group_by: str | None = None  # the option that uses it


def _brightness(fingerprints: StoredFingerprints) -> tuple[FloatArray, FloatArray]:
    """Of N thumbnails, in grey levels: the standard deviation, what nearly all is below; (N,)."""
    spread, highest = np.empty(len(fingerprints)), np.empty(len(fingerprints))
    for some in blocks(fingerprints.order, BLOCK):
        grey = fingerprint.luma(fingerprints[some]).reshape(-1, fingerprint.SIDE**2)
        spread[some] = grey.std(axis=1)
        highest[some] = np.quantile(grey, NEARLY_ALL, axis=1)
    return spread, highest


@dataclass(frozen=True, eq=False)
class _Mark:
    """A kind of issue among N photos."""

    kind: str
    marked: Bools  # (N,)
    detail: Callable[[int], str]  # of a marked photo
    are: str | None = None  # what photos of which many are so are; None: each stands for itself


def quality_issues(
    paths: Sequence[str],
    labels: Sequence[str],
    metadata: Metadata[FloatArray],
    fingerprints: StoredFingerprints,
    row: IntArray,
) -> Iterator[Issue]:
    """The issues of N photos, kind by kind.

    What a tenth of a class or of all photos is, is no outlier: one issue says so of all of them,
    and names no photo, so that none is taken out.

    Args:
        labels: (N,) the class of each.
        row: (N,) of each photo's fingerprint.
    """
    if not paths:
        return
    classes = np.unique(np.array(labels), return_inverse=True)[1]
    spread, highest = (values[row] for values in _brightness(fingerprints))
    short, long = np.sort([metadata.width, metadata.height], axis=0)
    median_short, median_shape = float(np.median(short)), float(np.median(long / short))
    found = [
        _Mark(
            "tiny",
            (short < TINY) & (short < median_short / 2),
            lambda i: f"{_size(metadata, i)}; the median of the short sides is {median_short:.0f}",
            f"less than {TINY} pixels wide or high",
        ),
        _Mark("blank", spread < BLANK, lambda i: "one colour all over", "of one colour all over"),
        _Mark(
            "dark",
            highest < DARK,
            lambda i: (
                f"{percent(NEARLY_ALL, digits=0)} of it is darker than {highest[i]:.0f} of 255"
            ),
            "very dark",
        ),
        _Mark(
            "blurred",
            (metadata.sharpness < BLURRED) & softer_than_its_class(metadata.sharpness, classes),
            lambda i: f"no sharp edge anywhere (sharpness {metadata.sharpness[i]:.2f} of 1)",
            "without a sharp edge",
        ),
        _Mark(
            "shape",
            (long > LONG * short) & (long / short > 2 * median_shape),
            lambda i: f"{_size(metadata, i)}, {long[i] / short[i]:.1f} times as long as wide",
            f"more than {LONG} times as long as wide",
        ),
        _Mark(
            "gps", metadata.gps > 0, lambda i: "says where it was taken: mind whom you give it to"
        ),
        _Mark(
            "animated",
            metadata.animated > 0,
            lambda i: "has several frames; only the first is used",
        ),
    ]
    for mark in found:
        outliers = mark.marked
        if mark.are:
            common = list(_common(mark, labels, classes))
            yield from (issue for issue, _ in common)
            for _, among in common:
                outliers = outliers & ~among
        for i in np.flatnonzero(outliers).tolist():
            yield Issue(mark.kind, mark.detail(i), paths[i])
    yield from _misnamed(paths, metadata)


def _common(mark: _Mark, labels: Sequence[str], classes: IntArray) -> Iterator[tuple[Issue, Bools]]:
    """The groups of photos of which many have a mark: all photos, else single classes.

    Yields:
        The issue that says it, and which photos (N,) it is about.
    """
    n, total = len(classes), int(mark.marked.sum())
    if total >= max(FEWEST, COMMON * n):
        detail = (
            f"{total:,} of {count(n, 'photo')} are {mark.are}. So many are no outliers: the photos "
            "are like that, and none is taken out."
        )
        yield Issue(mark.kind, detail), np.ones(n, dtype=bool)
        return
    marked, sizes = np.bincount(classes, mark.marked), np.bincount(classes)
    for k in np.flatnonzero(marked >= np.maximum(FEWEST, COMMON * sizes)).tolist():
        among = classes == k
        detail = (
            f"{int(marked[k]):,} of {count(int(sizes[k]), 'photo')} are {mark.are}; the class is "
            "like that, and none is taken out"
        )
        yield Issue(mark.kind, detail, label=labels[int(np.argmax(among))]), among


def softer_than_its_class(sharpness: FloatArray, classes: IntArray) -> Bools:
    """Which of N photos have softer edges than their class leads one to expect, (N,).

    Clouds and cells have soft edges. A photo is softer if the logarithm of its sharpness lies more
    than FAR robust standard deviations (1.4826 median absolute deviations) below the median.
    """
    log = np.log(np.maximum(sharpness, 1e-6))
    known = ~np.isnan(log)
    of_all = _lowest(log[known]) if known.sum() >= ENOUGH else np.inf
    lowest = np.full(int(classes.max()) + 1, of_all)
    order = np.argsort(classes[known], kind="stable")
    ends = np.cumsum(np.bincount(classes[known], minlength=len(lowest)))
    for k, of_class in enumerate(np.split(log[known][order], ends[:-1])):
        if len(of_class) >= ENOUGH:
            lowest[k] = _lowest(of_class)
    softer: Bools = log < lowest[classes]
    return softer


def _lowest(values: FloatArray) -> float:
    """Below which a value is an outlier."""
    centre = np.median(values)
    return float(centre - FAR * 1.4826 * np.median(abs(values - centre)))


def _misnamed(paths: Sequence[str], metadata: Metadata[FloatArray]) -> Iterator[Issue]:
    for path, number in zip(paths, metadata.format.astype(int).tolist(), strict=True):
        extension = PurePosixPath(path).suffix
        named = FORMAT_OF.get(extension.lower())
        if named not in (None, FORMATS[number]):
            yield Issue("extension", f"named {extension}, but it is {FORMATS[number]}", path)


def _size(metadata: Metadata[FloatArray], i: int) -> str:
    return f"{metadata.width[i]:.0f} × {metadata.height[i]:.0f} pixels"


# --- photos that show the same ------------------------------------------------------------------

PLACEHOLDER = 3  # copies, in two classes at least: a provider's picture for "not available"


@dataclass(frozen=True)
class Group:
    """Photos that show the same: first the one to keep, the largest, then of most bytes."""

    paths: tuple[str, ...]
    distances: tuple[float, ...]  # of each from the first; 0 for the same bytes


@dataclass(frozen=True)
class Conflict:
    """Photos that show the same and are told apart."""

    kind: str  # "classes": they have different labels; "parts": they are on both sides of a split
    paths: tuple[str, ...]
    names: tuple[str, ...]  # of these classes, or parts


def joined(exact: Sequence[Group], near: Sequence[Group]) -> list[Group]:
    """Each group once: the near ones, and those of equal bytes that are not among them."""
    known = {path for group in near for path in group.paths}
    return [*near, *(group for group in exact if group.paths[0] not in known)]


def conflicts(groups: Iterable[Group], places: Mapping[str, Place]) -> Iterator[Conflict]:
    """The groups with members of several classes, or in several parts."""
    for group in groups:
        labels = sorted({places[path].label for path in group.paths})
        parts = sorted({places[path].part or "" for path in group.paths})
        if len(labels) > 1:
            yield Conflict("classes", group.paths, tuple(labels))
        if len(parts) > 1:
            yield Conflict("parts", group.paths, tuple(parts))


def placeholders(groups: Iterable[Group], places: Mapping[str, Place]) -> Iterator[Issue]:
    """The groups that are so large, over several classes, that no mistake explains them."""
    for group in groups:
        labels = sorted({places[path].label for path in group.paths})
        if len(group.paths) >= PLACEHOLDER and len(labels) > 1:
            detail = f"one picture {len(group.paths):,} times, in {listed(labels, 3)}"
            yield Issue("placeholder", detail, group.paths[0], paths=group.paths)
