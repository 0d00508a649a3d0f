"""Photos with and without labels as one `Samples`: those to label, and what is labelled so far.

    photos/…            without labels, in any folders
    raw/<class>/…       labelled so far; may be absent

A photo is known by its content: one that is in both is labelled, and one that comes twice counts
once.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgcli.errors import DataError
from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import find_photos, photos_under
from imgcli.photos.near_duplicates import duplicate_groups
from imgcli.records import Rejected, Samples
from imgcli.runs import CACHE


@dataclass(frozen=True, eq=False)
class ToLabel:
    """N photos, in the order of their contents."""

    samples: Samples  # targets are -1 for photos without a label; paths are absolute
    names: tuple[str, ...]  # (N,) as typed: below the folder of photos, or of labelled ones
    rejected: tuple[Rejected, ...]


def photos_to_label(
    folder: Path, labelled: Path | None, classes: Sequence[str] = (), cache: Path = CACHE
) -> ToLabel:
    """Find the photos under a folder, and those of class folders that are labelled already.

    Args:
        labelled: class folders; None, or one that does not exist yet, for no label so far.
        classes: further classes, which may have no photo yet.

    Raises:
        DataError: no such folder, or no photo in it that can be read.
    """
    names, refused = photos_under(folder)
    label_of: dict[str, str] = {}
    if labelled is not None and labelled.is_dir() and any(labelled.iterdir()):
        layout = find_photos(labelled)
        label_of = {f"{labelled}/{path}": place.label for path, place in layout.photos.items()}
    every = [*label_of, *(name for name in names if name not in label_of)]
    place: dict[str, str] = {}  # the first name of each content; labelled ones come first
    hashed = digest_files([Path(name) for name in every], cache)
    for name, digest in zip(every, hashed, strict=True):
        if isinstance(digest, Rejected):
            refused.append(Rejected(name, digest.reason))
        else:
            place.setdefault(digest, name)
    digests = sorted(place)
    files = [os.path.abspath(place[digest]) for digest in digests]
    groups, faults = duplicate_groups(files, digests, "near", cache)
    unreadable = {i for i, _ in faults}
    refused += [Rejected(place[digests[i]], reason) for i, reason in faults]
    good = [i for i in range(len(digests)) if i not in unreadable]
    if not any(place[digests[i]] not in label_of for i in good):
        what = "All photos in '{}' are labelled" if good and names else "No photo in '{}' to label"
        raise DataError(f"{what.format(folder)}. Name a folder of photos without labels.")
    known = sorted({*classes, *label_of.values()})
    position = {label: k for k, label in enumerate(known)}
    targets = [position.get(label_of.get(place[digests[i]], ""), -1) for i in good]
    return ToLabel(
        Samples(
            root=folder,
            paths=tuple(files[i] for i in good),
            targets=np.array(targets, dtype=np.int64),
            groups=groups[good],
            digests=tuple(digests[i] for i in good),
            classes=tuple(known),
            locations=tuple(Path(files[i]) for i in good),
        ),
        tuple(place[digests[i]] for i in good),
        tuple(refused),
    )
