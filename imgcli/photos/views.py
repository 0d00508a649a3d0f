"""Decoded pixels at the size the network needs, made once per photo and preprocessing.

    .imgcli/cache/pixels/<geometry>-<BY>-v<VERSION>/    a RowStore of (size, size, 3) uint8

A row is found by the photo's SHA-256: a photo that is moved, linked or split again is not decoded
again; a photo that has changed is. `imgcli split` leaves the default view.
"""

import io
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import DataError
from imgcli.locations import Location, Where, locations_of
from imgcli.photos import pipeline, resize
from imgcli.photos.decode import VERSION, Fault, needed, to_input
from imgcli.photos.pipeline import BLOCK, Photo, Transform
from imgcli.photos.row_cache import RowStore
from imgcli.photos.sample_range import own_range
from imgcli.records import IntArray, Preprocess, Rejected, Samples
from imgcli.runs import CACHE
from imgcli.text import listed

Images = NDArray[np.uint8]  # (B, S, S, 3)


@dataclass(frozen=True, eq=False)
class Pixels:
    """The decoded photos of N samples; a photo that cannot be read has no pixels."""

    store: RowStore
    row: IntArray  # (N,) in the store, -1 for a photo that cannot be read
    rejected: list[Rejected]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) whether the photo has pixels."""
        return self.row >= 0

    def gather(self, indices: IntArray) -> Images:
        """The pixels of some samples, all of them readable: (B, S, S, 3)."""
        rows = self.row[indices]
        assert (rows >= 0).all(), "an unreadable photo was asked for; look at `readable` first"
        images: Images = self.store.take(rows)
        return images


@dataclass(frozen=True, eq=False)
class Block:
    """Some photos of a sequence of files, decoded."""

    indices: IntArray  # (B,) positions in the sequence
    images: Images  # (B, S, S, 3)
    faults: list[tuple[int, Fault]]  # position and reason of those in between that gave no picture


def load_pixels(samples: Samples, views: Sequence[Preprocess], cache: Path = CACHE) -> list[Pixels]:
    """The pixels of all samples in each of the views, from the cache or decoded now.

    A photo that several views lack is decoded once for all of them. Ctrl-C keeps the photos that
    are done.

    Raises:
        DataError: a file no longer holds the bytes that were split.
        StorageError: the pixels will not fit on the disk.
    """
    stores = [store_of(view, cache) for view in views]
    for store in stores:
        missing = int((store.rows(samples.digests) < 0).sum())
        if missing:
            store.reserve(missing)
    transforms = [view_of(view) for view in views]
    faults = pipeline.fill(stores, transforms, samples.files(), samples.digests, "Decoding")
    changed = [samples.paths[i] for i, fault in faults.items() if fault.kind == pipeline.CHANGED]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(samples)} photos in '{samples.root}' have changed since the "
            f"split: {listed(changed)}. Run `imgcli split` again."
        )
    if samples.locations and (gone := {i: f for i, f in faults.items() if f.stage == "read"}):
        i, fault = next(iter(gone.items()))
        raise DataError(
            f"{len(gone)} of {len(samples)} photos of '{samples.root}' cannot be read where they "
            f"are: '{samples.paths[i]}' ({samples.locations[i]}): {fault.reason}. Put them back, "
            "or run `imgcli split` again."
        )
    return [_pixels_in(store, samples, faults) for store in stores]


def _pixels_in(store: RowStore, samples: Samples, faults: Mapping[int, Fault]) -> Pixels:
    row = store.rows(samples.digests)
    missing = np.flatnonzero(row < 0).tolist()
    return Pixels(store, row, [Rejected(samples.paths[i], faults[i].sentence) for i in missing])


def enlarged(view: Preprocess, factor: float = 1.25) -> Preprocess:
    """The same view at a larger size, for random crops to be cut from."""
    return replace(view, size=round(view.size * factor))


def decode_files(files: Sequence[Location], preprocess: Preprocess) -> Generator[Block, None, None]:
    """Decode files in threads over all cores, in order, a block at a time."""
    return decode_photos(files, len(files), preprocess)


def decode_photos(
    photos: Iterable[Location | bytes | Fault], total: int, preprocess: Preprocess
) -> Generator[Block, None, None]:
    """As `decode_files`, of files and of bytes that come one by one.

    Args:
        total: how many there are.
    """
    empty = np.empty((0, preprocess.size, preprocess.size, 3), np.uint8)
    views = [view_of(preprocess)]
    with closing(pipeline.derive_stream(views, photos, total, "Decoding")) as derived:
        while block := list(islice(derived, BLOCK)):
            made = {i: found[0] for i, found in block if not isinstance(found, Fault)}
            yield Block(
                np.array(list(made), dtype=np.int64),
                np.stack(list(made.values())) if made else empty,
                [(i, found) for i, found in block if isinstance(found, Fault)],
            )


def store_of(view: Preprocess, cache: Path) -> RowStore:
    """Where the pixels of a view are kept."""
    folder = cache / "pixels" / f"{view.geometry()}-{resize.BY}-v{VERSION}"
    about = f"photos at {view.size} × {view.size} pixels ({view.fit}, {view.interpolation})"
    return RowStore(folder, (view.size, view.size, 3), "uint8", about=about)


def view_of(view: Preprocess) -> Transform:
    """Derives a view (size, size, 3)."""

    def apply(photo: Photo) -> NDArray[np.uint8]:
        # A network that was trained on photos of 8 bits has no range for others.
        samples = view.sample_range or own_range(photo.data)
        return to_input(photo.decoded(needed(view), samples), view)

    return Transform(apply)


# --- thumbnails ---------------------------------------------------------------------------------

QUALITY = 50  # of WebP; a photo of 96 pixels takes about 1.2 kB


def thumbnails(
    where: Where,
    paths: Iterable[str],
    side: int,
    digests: Mapping[str, str],
    among: Container[str],
    quality: int = QUALITY,
) -> Generator[bytes | None, None, None]:
    """A thumbnail of each photo, in order, made in threads only a little ahead of the reader.

    Args:
        where: the folder that the paths are below, or the place of each.
        digests: SHA-256 of the bytes that a file must still hold, by path, where that is known.
        among: the photos that the folder itself has. Paths come from files that a stranger may have
            written, to have any picture of this machine shown; no other file is opened.
        quality: of the WebP, 0 to 100.

    Yields:
        A WebP of `side` pixels at most; None for a photo that is not among them, is gone, has
        changed or cannot be decoded.
    """
    paths = list(paths)
    among = among if isinstance(where, Path) else where
    wanted = np.array([[path in among for path in paths]], dtype=bool)
    shown = iter(locations_of(where, (path for path in paths if path in among)))
    files = [next(shown) if is_wanted else "" for is_wanted in wanted[0].tolist()]
    known = [digests.get(path) for path in paths]
    with closing(
        pipeline.derive([_thumbnail_of(side, quality)], files, known, wanted=wanted)
    ) as derived:
        for is_wanted in wanted[0].tolist():
            made = next(derived)[1] if is_wanted else {}
            yield None if isinstance(made, Fault) else made.get(0)


def thumbnail(
    file: Path, side: int, sha256: str | None = None, quality: int = QUALITY
) -> bytes | None:
    """A thumbnail of one photo, as of `thumbnails`.

    Args:
        quality: of the WebP, 0 to 100.
    """
    digests = {} if sha256 is None else {file.name: sha256}
    return next(thumbnails(file.parent, [file.name], side, digests, {file.name}, quality))


def _thumbnail_of(side: int, quality: int) -> Transform:
    def apply(photo: Photo) -> bytes:
        small = resize.as_image(photo.decoded(side, own_range(photo.data))).copy()
        small.thumbnail((side, side))
        made = io.BytesIO()
        small.save(made, "WEBP", quality=quality)
        return made.getvalue()

    return Transform(apply)
