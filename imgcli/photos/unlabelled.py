"""Photos without labels, joined to a dataset that they may help to learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from imgcli.errors import DataError
from imgcli.photos.dataset import Dataset
from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import photos_under
from imgcli.photos.near_duplicates import duplicate_groups
from imgcli.records import IntArray, Rejected
from imgcli.runs import CACHE


def with_unlabelled(
    dataset: Dataset, folder: Path, cache: Path = CACHE
) -> tuple[Dataset, IntArray]:
    """The dataset with the photos under a folder as further rows, in no part and of no class.

    A photo that the dataset has already, or nearly, is left out: its label is known, or must not
    be. So is one that comes twice.

    Returns:
        The dataset, and the new rows.

    Raises:
        DataError: no such folder, or no photo in it that is new.
    """
    names, refused = photos_under(folder)
    if not names:
        raise DataError(f"No photo in '{folder}'. Name a folder of photos with --pseudo-label.")
    samples = dataset.samples
    known = set(samples.digests)
    paths, digests = [], []
    for name, found in zip(names, digest_files([Path(name) for name in names], cache), strict=True):
        if isinstance(found, Rejected):
            refused.append(Rejected(name, found.reason))
        elif found not in known:
            known.add(found)
            paths.append(str(Path(name).absolute()))
            digests.append(found)
    files = [*(f"{samples.root}/{path}" for path in samples.paths), *paths]
    groups, _ = duplicate_groups(files, [*samples.digests, *digests], "near", cache)
    old, new = np.split(groups, [len(samples)])
    fresh = np.flatnonzero(~np.isin(new, old)).tolist()
    rows = np.arange(len(samples), len(samples) + len(fresh))
    if not fresh:
        raise DataError(
            f"None of the {len(names)} photos in '{folder}' is new: the dataset has them all, or "
            "nearly, or they cannot be read. Name a folder of other photos with --pseudo-label."
        )
    joined = replace(
        samples,
        paths=samples.paths + tuple(paths[i] for i in fresh),
        targets=np.concatenate([samples.targets, np.full(len(fresh), -1)]),
        groups=np.concatenate([samples.groups, samples.groups.max(initial=0) + 1 + new[fresh]]),
        digests=samples.digests + tuple(digests[i] for i in fresh),
    )
    return replace(dataset, samples=joined, rejected=(*dataset.rejected, *refused)), rows
