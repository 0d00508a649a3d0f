"""Rows by number, for the tests of row stores."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli.photos.row_cache import RowStore

SHAPE = (3, 2)
ROW = 6  # bytes


def key(i: int) -> str:
    return hashlib.sha256(b"%d" % i).hexdigest()


def keys(*numbers: int) -> list[str]:
    return [key(i) for i in numbers]


def block(*numbers: int) -> NDArray[np.uint8]:
    """The row of number i holds i + 1 in every place: no row looks like unwritten disk."""
    return np.add(numbers, 1).astype(np.uint8)[:, None, None] * np.ones((1, *SHAPE), np.uint8)


def opened(folder: Path) -> RowStore:
    return RowStore(folder, SHAPE, "uint8")


def filled(folder: Path, *numbers: int) -> RowStore:
    store = opened(folder)
    store.append(keys(*numbers), block(*numbers))
    return store


def held(store: RowStore, upto: int = 100) -> list[int]:
    """The numbers it has a row for; each row has been compared with what it must hold."""
    rows = store.rows(keys(*range(upto)))
    found = np.flatnonzero(rows >= 0)
    assert (store.take(rows[found]) == block(*found)).all()
    return [int(i) for i in found]
