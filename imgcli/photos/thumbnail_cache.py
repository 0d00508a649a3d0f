"""Thumbnails that are made once per photo and size.

    .imgcli/cache/thumbnails/<side>-q<QUALITY>-v<VERSION>/    a RowStore of (4 + ROOM · side,) uint8

A row is found by the photo's SHA-256: four bytes that say how long the WebP is, and the WebP. The
few that are longer than a row are made again each time.
"""

from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli.locations import Where, locations_of
from imgcli.photos.decode import VERSION
from imgcli.photos.hashing import digest_files
from imgcli.photos.pipeline import BLOCK
from imgcli.photos.row_cache import RowStore
from imgcli.photos.views import QUALITY, thumbnails
from imgcli.runs import CACHE

ROOM = 48  # bytes per pixel of the longer side; photos take 13 to 17 on average
HEAD = 4  # bytes


def cached_thumbnails(
    where: Where,
    paths: Iterable[str],
    side: int,
    digests: Mapping[str, str],
    among: Container[str],
    cache: Path = CACHE,
) -> Generator[bytes | None, None, None]:
    """As `views.thumbnails`, from the cache where a photo still is what its digest says."""
    paths = list(paths)
    store = _store_of(side, cache)
    unchanged = _unchanged(where, [path for path in paths if path in among], digests, cache)
    rows = dict(zip(unchanged, store.rows([digests[p] for p in unchanged]).tolist(), strict=True))
    missing = [path for path in paths if rows.get(path, -1) < 0]
    with closing(thumbnails(where, missing, side, digests, among)) as made:
        kept: dict[str, NDArray[np.uint8]] = {}
        try:
            for start in range(0, len(paths), BLOCK):
                block = paths[start : start + BLOCK]
                there = [row for path in block if (row := rows.get(path, -1)) >= 0]
                found = iter(store.take(np.array(there, dtype=np.int64)))
                for path in block:
                    if rows.get(path, -1) >= 0:
                        yield _unpacked(next(found))
                        continue
                    picture = next(made)
                    if picture is not None and path in rows and _fits(picture, side):
                        kept[digests[path]] = _packed(picture, side)
                    yield picture
        finally:
            if kept:
                store.append(list(kept), list(kept.values()))


def _store_of(side: int, cache: Path) -> RowStore:
    folder = cache / "thumbnails" / f"{side}-q{QUALITY}-v{VERSION}"
    about = f"thumbnails of {side} pixels, for pages"
    return RowStore(folder, (HEAD + ROOM * side,), "uint8", about=about)


def _unchanged(
    where: Where, paths: Sequence[str], digests: Mapping[str, str], cache: Path
) -> list[str]:
    """Those of some paths, each once, whose files have the bytes that their digests are of."""
    known = [path for path in dict.fromkeys(paths) if path in digests]
    if not isinstance(where, Path):
        known = [path for path in known if path in where]
    now = digest_files(list(locations_of(where, known)), cache)
    return [path for path, digest in zip(known, now, strict=True) if digest == digests[path]]


def _fits(picture: bytes, side: int) -> bool:
    return len(picture) <= ROOM * side


def _packed(picture: bytes, side: int) -> NDArray[np.uint8]:
    whole = len(picture).to_bytes(HEAD, "little") + picture
    return np.frombuffer(whole.ljust(HEAD + ROOM * side, b"\0"), np.uint8)


def _unpacked(row: NDArray[np.uint8]) -> bytes:
    raw = row.tobytes()
    return raw[HEAD : HEAD + int.from_bytes(raw[:HEAD], "little")]
