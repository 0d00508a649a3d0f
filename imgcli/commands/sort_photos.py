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
from imgcli.records import NONE_OF_THESE, UNSURE, IntArray, NewPhotos, Rejected
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
    none_of_these: int
    none_of_these_folder: str  # "none of these", unless a class is called so
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
        answers: (M,) the class given to each of the predicted photos, -1 for unsure, -2 for none of
            these.
    """
    assert found.rows is not None
    folders = {name: safe_name(name) for name in found.classes}
    taken = {folder.casefold() for folder in folders.values()}
    unsure, none = (
        next(f"{name}{end}" for end in free_suffixes() if name + end not in taken)
        for name in (UNSURE, NONE_OF_THESE)
    )
    unanswered = {-1: unsure, -2: none}
    to_sort = []
    given = np.where(answers < 0, found.probs.argmax(axis=1), answers)
    for i, k, p, answer in zip(found.rows, given, found.probs, answers.tolist(), strict=True):
        name = found.classes[k]
        reason = f"predicted as {name} ({percent(p[k])})"
        folder = unanswered.get(answer, folders[name])
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
        classes={by_folder[f]: n for f, n in sorted(counts.items()) if f in by_folder},
        unsure=counts[unsure],
        unsure_folder=unsure,
        none_of_these=counts[none],
        none_of_these_folder=none,
        already=len(done.already),
        copied=done.copied,
        left=done.left,
    )
