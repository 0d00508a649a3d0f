"""Puts photos into folders by their predicted class, for `imgcli.predict`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgcli.collect.names import safe_name
from imgcli.commands.results import Result
from imgcli.locations import Location, Member
from imgcli.photos.decode import read_photo
from imgcli.photos.manifest import Link
from imgcli.photos.sorting import ToSort, refuse_place, sort_into
from imgcli.reading import matching
from imgcli.records import UNSURE, IntArray, NewPhotos, Rejected
from imgcli.text import free_suffixes, percent

if TYPE_CHECKING:
    from imgcli.training.predict import Predicted


@dataclass(frozen=True, repr=False)
class Sorted(Result):
    """Photos in folders of their predicted classes."""

    out: Path
    classes: Mapping[str, int]  # photos per class's folder, those that were there included
    unsure: int
    unsure_folder: str  # "unsure", unless a class is called so
    already: int  # photos that were there before, with the same bytes
    copied: int  # that could not be linked
    left: tuple[Rejected, ...]  # not placed, and why


def refuse_target(target: Path, words: Sequence[str]) -> None:
    """Refuse a folder that photos of these words may not be sorted into."""
    refuse_place(target, [path for word in words for path in matching(Path(word))])


def _of_sorted(content: Location | bytes | Rejected) -> str | bytes:
    """The file of a photo, or its bytes; none of one that cannot be read by now."""
    if isinstance(content, Member):
        data = read_photo(content)
        return data if isinstance(data, bytes) else b""
    if isinstance(content, Rejected):
        return b""
    return content if isinstance(content, bytes) else str(content)


def sort_photos(
    photos: NewPhotos, found: "Predicted", answers: IntArray, target: Path, link: Link
) -> Sorted:
    """Put every predicted photo into the folder of its class, the unsure ones into unsure/.

    Args:
        answers: (M,) the class given to each of the predicted photos, -1 for none.
    """
    assert found.rows is not None
    folders = {name: safe_name(name) for name in found.classes}
    taken = {folder.casefold() for folder in folders.values()}
    unsure = next(f"{UNSURE}{end}" for end in free_suffixes() if UNSURE + end not in taken)
    to_sort = []
    given = np.where(answers < 0, found.probs.argmax(axis=1), answers)
    for i, k, p, answered in zip(found.rows, given, found.probs, answers >= 0, strict=True):
        name = found.classes[k]
        reason = f"predicted as {name} ({percent(p[k])})"
        folder = folders[name] if answered else unsure
        to_sort.append(ToSort(photos.names[i], photos.inner[i], folder, reason))
    chosen = set(found.rows.tolist())

    def contents() -> Iterator[str | bytes]:
        for i, content in enumerate(photos.contents()):
            if i in chosen:
                yield _of_sorted(content)

    done = sort_into(target, to_sort, contents, link)
    counts = Counter(path.split("/")[0] for path in (*done.placed, *done.already))
    by_folder = {folder: name for name, folder in folders.items()}
    return Sorted(
        out=target,
        classes={by_folder[f]: n for f, n in sorted(counts.items()) if f != unsure},
        unsure=counts[unsure],
        unsure_folder=unsure,
        already=len(done.already),
        copied=done.copied,
        left=done.left,
    )
