"""Each photo is read, checked and decoded once, whatever is made of it: a network's view, a sketch.

What is made of a photo is a row of fixed shape, kept in a RowStore under the photo's SHA-256.
Photos stream through in blocks, decoded in threads over all cores: the memory needed depends on the
number of cores and not on the number of photos.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcli.photos.decode import Fault, decode, read_photo, reduction
from imgcli.photos.hashing import in_threads
from imgcli.photos.row_cache import RowStore
from imgcli.progress import track

Row = NDArray[np.uint8]
Bools = NDArray[np.bool_]

BLOCK = 64  # photos written at once
CHUNK = 8  # photos per task: enough to outweigh handing them over, few enough to end together
CHANGED = "Changed"  # kind of the fault of a file whose digest is another


@dataclass(frozen=True)
class Product:
    """Something to make of photos."""

    make: Callable[[Image.Image], Row | None]  # None: nothing is made of such a photo
    at_least: int  # pixels of the short side that it wants a large JPEG decoded at
    rides: bool = False  # made only of photos that are decoded for another product


@dataclass(frozen=True, eq=False)
class Block:
    """Some photos of a sequence of files, decoded, with what was made of them."""

    rows: list[dict[int, Row]]  # per product, by the photo's position in the sequence
    faults: dict[int, Fault]  # by position


def fill(
    stores: Sequence[RowStore],
    products: Sequence[Product],
    files: Sequence[Path | str],
    digests: Sequence[str],
    label: str,
) -> dict[int, Fault]:
    """Make whichever rows of these files the stores lack.

    Ctrl-C keeps the blocks that are done.

    Returns:
        The fault of each file that gave no picture, by its position.
    """
    lacking = np.array([store.rows(digests) < 0 for store in stores]).reshape(len(stores), -1)
    rides = np.array([product.rides for product in products])
    lacking[rides] &= lacking[~rides].any(axis=0)
    faults: dict[int, Fault] = {}
    try:
        with closing(make(products, files, digests, label, lacking)) as blocks:
            for block in blocks:
                faults |= block.faults
                for store, rows in zip(stores, block.rows, strict=True):
                    if rows:
                        store.append([digests[i] for i in rows], np.stack(list(rows.values())))
    finally:
        for store in stores:
            store.flush()
    return faults


def make(
    products: Sequence[Product],
    files: Sequence[Path | str],
    digests: Sequence[str] | None,
    label: str,
    wanted: Bools | None = None,
) -> Generator[Block, None, None]:
    """Decode files and make the products of them, in order, a block at a time.

    Args:
        digests: SHA-256 that each file must have; one that has another is a fault.
        label: what to call the work, for people.
        wanted: (products, files) which to make; None makes all.
    """
    if wanted is None:
        wanted = np.ones((len(products), len(files)), dtype=bool)
    todo = np.flatnonzero(wanted.any(axis=0))

    def make_chunk(chunk: NDArray[np.int64]) -> list[tuple[int, dict[int, Row] | Fault]]:
        return [
            (i, _make_one(files[i], digests[i] if digests else None, products, wanted[:, i]))
            for i in chunk.tolist()
        ]

    chunks = (todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK))
    made = chain.from_iterable(in_threads(make_chunk, chunks))
    counted = track(made, label, total=len(todo), unit="photos")
    while batch := list(islice(counted, BLOCK)):
        yield Block(
            [
                {i: rows[k] for i, rows in batch if not isinstance(rows, Fault) and k in rows}
                for k in range(len(products))
            ],
            {i: rows for i, rows in batch if isinstance(rows, Fault)},
        )


def _make_one(
    file: Path | str, digest: str | None, products: Sequence[Product], wanted: Bools
) -> dict[int, Row] | Fault:
    """The rows of one file by product; hashed and decoded from the same bytes."""
    data = read_photo(file)
    if isinstance(data, Fault):
        return data
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        return Fault("read", CHANGED, "it changed while it was being read")
    rows: dict[int, Row] = {}
    for alike in _decoded_alike(data, products, np.flatnonzero(wanted).tolist()):
        photo = decode(data, products[alike[0]].at_least)
        if isinstance(photo, Fault):
            return photo
        made = {k: products[k].make(photo) for k in alike}
        rows |= {k: row for k, row in made.items() if row is not None}
    return rows


def _decoded_alike(data: bytes, products: Sequence[Product], some: list[int]) -> list[list[int]]:
    """Products that want a photo decoded at the same size, together.

    A photo between two sizes is decoded twice: what is made of it must not depend on what else is.
    """
    if len({products[k].at_least for k in some}) == 1:
        return [some]
    by_reduction: dict[int, list[int]] = {}
    for k in some:
        by_reduction.setdefault(reduction(data, products[k].at_least), []).append(k)
    return list(by_reduction.values())
