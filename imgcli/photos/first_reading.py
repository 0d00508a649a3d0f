"""Photos behind URIs are read once: for their hash and for all that a split derives from them.

Files on a disk are hashed, looked into and fingerprinted one after another, and read each time.
From a bucket that would be three transfers. Here one fills what these steps look up first: the
memory of digests, the ranges of samples, the fingerprints and the default view.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcli.locations import Location, is_remote, reading_order
from imgcli.photos.decode import Fault
from imgcli.photos.digest_memory import digest_memory
from imgcli.photos.hashing import CHUNK, content_key
from imgcli.photos.near_duplicates import DEFAULT_VIEW, fingerprint_stores
from imgcli.photos.pipeline import BLOCK, Photo, Transform, Undecodable, derive
from imgcli.photos.sample_range import may_exceed_8_bits, range_row, range_store


def read_once(locations: Sequence[Location], cache: Path) -> None:
    """Read those of the photos behind URIs that are not known yet. Ctrl-C keeps what is done.

    Raises:
        Refused: a server does not answer, or refuses.
    """
    keys = {
        i: key
        for i, location in enumerate(locations)
        if is_remote(location) and (key := content_key(location))
    }
    with digest_memory(cache) as memory:
        wanted = list(keys)
        for start in range(0, len(wanted), CHUNK):
            some = wanted[start : start + CHUNK]
            known = memory.known([keys[i] for i in some])
            for i in some:
                if keys[i] in known:
                    del keys[i]
        if not keys:
            return
        stores, transforms = fingerprint_stores(DEFAULT_VIEW, cache, len(keys))
        kept = [range_store(cache), *stores]
        derived_of = [
            Transform(_digest),
            Transform(range_row),
            *(Transform(partial(_or_none, one.apply)) for one in transforms),
        ]
        rows = list(keys)
        photos = [locations[i] for i in rows]
        order = np.array(reading_order(photos), dtype=np.int64)
        digests: dict[bytes, bytes] = {}
        waiting: list[dict[str, NDArray[Any]]] = [{} for _ in kept]

        def store_waiting() -> None:
            for store, made in zip(kept, waiting, strict=True):
                lacking = [
                    sha for sha, row in zip(made, store.rows(list(made)), strict=True) if row < 0
                ]
                if lacking:
                    store.append(lacking, np.stack([made[digest] for digest in lacking]))
                made.clear()
            memory.add(digests)
            digests.clear()

        try:
            with closing(derive(derived_of, photos, None, "Reading", order=order)) as derived:
                for done, (i, found) in enumerate(derived, 1):
                    if not isinstance(found, Fault):
                        digest = found.pop(0)
                        digests[keys[rows[i]]] = bytes.fromhex(digest)
                        for k, row in found.items():
                            waiting[k - 1][digest] = row
                    if done % BLOCK == 0:
                        store_waiting()
        finally:
            store_waiting()
            for store in kept:
                store.flush()


def _digest(photo: Photo) -> str:
    return hashlib.sha256(photo.data).hexdigest()


def _or_none(apply: Callable[[Photo], Any], photo: Photo) -> Any:
    """What is derived from a photo; nothing of one that cannot be decoded, which is listed later.

    Nothing either of one of more than 8 bits, whose range is not known before all are read.
    """
    if may_exceed_8_bits(photo.data):
        return None
    try:
        return apply(photo)
    except Undecodable:
        return None
