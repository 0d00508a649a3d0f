"""The range of samples in photos of more than 8 bits: one for all photos of a folder.

Files of 16 bits often hold the 10, 12 or 14 bits of a camera or scanner, and few say so; integers
of 32 bits and floats have no range of their own. Where a file says nothing, the values of all
photos of the folder decide together, so that a dark photo stays darker than a bright one. A run
keeps the range it was trained with.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli.compute.engine import in_order
from imgcli.image_types import HEAD, photo_format
from imgcli.photos import decode, pipeline
from imgcli.photos.decode import KINDS, SAID, SIXTEEN, bits_for, common_range, sample_extremes
from imgcli.photos.pipeline import Photo, Transform
from imgcli.photos.row_cache import RowStore
from imgcli.progress import note_once
from imgcli.reading import open_regular
from imgcli.records import FloatArray, SampleRange
from imgcli.text import count

CHUNK = 512  # headers per task
DARK = 16  # times the median of the photos' brightest samples is below white: 4 bits are lost
_NONE = (0.0, 0.0, 0.0)  # the row of a photo of 8 bits


def range_of_files(
    files: Sequence[Path | str], digests: Sequence[str], cache: Path
) -> SampleRange | None:
    """The range of all files together, which is said; None where none has more than 8 bits.

    The lowest and highest sample of each photo stay in the cache; of other photos only the header
    is read, once.

    Args:
        digests: SHA-256 of each file, hexadecimal.
    """
    found, sentences = find_range(files, digests, cache)
    for sentence in sentences:
        note_once(sentence)
    return found


def find_range(
    files: Sequence[Path | str], digests: Sequence[str], cache: Path
) -> tuple[SampleRange | None, list[str]]:
    """As `range_of_files`, with the sentences about it."""
    if not files:
        return None, []
    unique, first = np.unique(np.array(digests), return_index=True)
    keys = unique.tolist()
    about = "lowest and highest samples of photos of more than 8 bits"
    store = RowStore(cache / "ranges" / f"decode{decode.VERSION}", (3,), "float64", about=about)
    _fill(store, [files[i] for i in first], keys)
    rows = store.rows(keys)
    extremes = store.take(rows[rows >= 0])
    return _range(extremes), list(_sentences(extremes))


def own_range(data: bytes) -> SampleRange | None:
    """The range of one photo by itself; None where a folder's would make no difference."""
    if not _may_exceed_8_bits(data[:HEAD]):
        return None
    extremes = sample_extremes(data)
    if extremes is None or KINDS[extremes.kind] != SIXTEEN:
        return None
    return SampleRange(bits_for(extremes.high))


def _fill(store: RowStore, files: Sequence[Path | str], digests: Sequence[str]) -> None:
    lacking = np.flatnonzero(store.rows(digests) < 0).tolist()
    parts = (lacking[start : start + CHUNK] for start in range(0, len(lacking), CHUNK))
    chunks = ([(i, files[i]) for i in part] for part in parts)
    deep = set(chain.from_iterable(in_order(_deep, chunks, _names)))
    others = [digests[i] for i in lacking if i not in deep]
    if others:
        store.append(others, np.tile(np.array(_NONE), (len(others), 1)))
    rest = sorted(deep)
    pipeline.fill(
        [store],
        [Transform(_row)],
        [files[i] for i in rest],
        [digests[i] for i in rest],
        "Reading samples",
    )


def _names(files: Sequence[tuple[int, Path | str]]) -> list[str]:
    return [str(file) for _, file in files]


def _deep(files: Sequence[tuple[int, Path | str]]) -> list[int]:
    """Those of the files that may have more than 8 bits, or cannot be read, by their positions."""
    found = []
    for i, file in files:
        try:
            with open_regular(file) as opened:
                head = opened.read(HEAD)
        except OSError:
            found.append(i)
            continue
        if _may_exceed_8_bits(head):
            found.append(i)
    return found


def _may_exceed_8_bits(head: bytes) -> bool:
    name = photo_format(head)
    return name in ("TIFF", "PPM") or (name == "PNG" and head[24:25] == b"\x10")


def _row(photo: Photo) -> FloatArray | None:
    return np.array(sample_extremes(photo.data) or _NONE, dtype=np.float64)


def _of(extremes: NDArray[np.float64], mode: str) -> NDArray[np.float64]:
    """The lowest and highest samples (M, 2) of the photos of a kind."""
    return extremes[extremes[:, 0] == KINDS.index(mode), 1:]


def _range(extremes: NDArray[np.float64]) -> SampleRange | None:
    if not extremes[:, 0].any():
        return None
    taken = {
        mode: common_range(mode, float(some[:, 0].min()), float(some[:, 1].max()))
        for mode in ("I", "F")
        if len(some := _of(extremes, mode))
    }
    sixteen = _of(extremes, SIXTEEN)
    bits = bits_for(sixteen[:, 1].max()) if len(sixteen) else 16
    return SampleRange(bits, taken.get("I"), taken.get("F"))


def _sentences(extremes: NDArray[np.float64]) -> Iterator[str]:
    found = _range(extremes)
    if found is None:
        return
    sixteen = _of(extremes, SIXTEEN)[:, 1]
    if len(sixteen):
        n, high, white = count(len(sixteen), "photo"), int(sixteen.max()), (1 << found.bits) - 1
        if found.bits < 16:
            yield (
                f"Files of 16 bits with fewer in use: values of {n} reach {high:,}, so 0–{white:,} "
                f"({found.bits} bits) is taken as black to white."
            )
        elif (median := int(np.median(sixteen))) < white // DARK:
            yield (
                f"Dark photos of 16 bits: values of {n} reach {high:,}, but half of them no more "
                f"than {median:,}, so few of 256 grey levels are left. If the brightest photos are "
                "of another kind, take them out."
            )
    for what, mode, taken in (
        ("32-bit integers", "I", found.integers),
        ("floats", "F", found.floats),
    ):
        if taken:
            some = _of(extremes, mode)
            yield (
                f"Photos of {what}: values of {count(len(some), 'photo')} go from "
                f"{some[:, 0].min():,.6g} to {some[:, 1].max():,.6g}, and {taken[0]:,.6g} to "
                f"{taken[1]:,.6g} is taken as black to white."
            )
    if said := int((extremes[:, 0] == KINDS.index(SAID)).sum()):
        yield f"{count(said, 'photo')} of more than 8 bits: black and white are as the file says."
