"""Options --only, --limit and --rename: the photos to import, and the names of their classes."""

import csv
import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imgcli.collect.imports.formats.source import LabelledPhotos
from imgcli.collect.imports.labelled_photo import LabelledPhoto
from imgcli.documents import read_document
from imgcli.errors import WrongUsage
from imgcli.reading import read_regular
from imgcli.records import Rejected
from imgcli.text import listed


@dataclass(frozen=True)
class Selection:
    """The selection of one import; `seen` is filled by `of`."""

    rename: Mapping[str, str] = field(default_factory=dict)  # class in the source -> its new name
    only: tuple[str, ...] = ()  # classes, by their new names; none: all
    limit: int | None = None  # photos per class and part
    seed: int = 0
    seen: set[str] = field(default_factory=set)  # classes of the sources, by their old names

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise WrongUsage(f"--limit {self.limit} takes no photo. Name 1 or more per class.")

    def of(self, items: Callable[[], LabelledPhotos]) -> LabelledPhotos:
        """The selected photos, under the new names of their classes.

        With a limit each class is a random sample by the seed and the positions of its photos,
        since the first photos of a folder are often one series. A larger limit only adds to a
        smaller one. The items are listed twice then; no photo is read here.
        """
        limits = self._thresholds(self._named(items())) if self.limit is not None else None
        ranks = _Ranks(self.seed)
        for item in self._named(items(), self.seen):
            if not isinstance(item, Rejected) and limits is not None:
                if ranks.draw(item) > limits[_key(item)]:
                    continue
            yield item

    def _named(self, items: LabelledPhotos, seen: set[str] | None = None) -> LabelledPhotos:
        only = {*self.only, *(name for many in self.only for name in split_list(many))}
        for item in items:
            if isinstance(item, LabelledPhoto):
                if seen is not None:
                    seen.add(item.label)
                if item.label in self.rename:
                    item = replace(item, label=self.rename[item.label])
                if only and item.label not in only:
                    continue
            yield item

    def _thresholds(self, items: LabelledPhotos) -> dict[tuple[str, str], float]:
        """The largest selected rank, per part and class."""
        ranks = _Ranks(self.seed)
        smallest: defaultdict[tuple[str, str], list[float]] = defaultdict(list)  # heaps, negated
        for item in items:
            if isinstance(item, LabelledPhoto):
                heap = smallest[_key(item)]
                heapq.heappush(heap, -ranks.draw(item))
                if len(heap) > (self.limit or 0):
                    heapq.heappop(heap)
        return {key: -heap[0] for key, heap in smallest.items()}

    def unmet(self) -> Iterator[str]:
        """Sentences about names in --rename and --only that no class has."""
        have = f"the sources have {listed(sorted(self.seen), 12)}" if self.seen else "there is none"
        for old in self.rename:
            if old not in self.seen:
                yield f"--rename: no class is called '{old}'; {have}."
        names = {self.rename.get(label, label) for label in self.seen}
        for name in self.only:
            missing = [one for one in split_list(name) if one not in names]
            if name not in names and missing:
                yield f"--only: no class is called {listed(missing)}; {have}."


class _Ranks:
    """A random rank for each photo of a class, by its position."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._of_class: dict[tuple[str, str], random.Random] = {}

    def draw(self, item: LabelledPhoto) -> float:
        key = _key(item)
        if key not in self._of_class:
            self._of_class[key] = random.Random(f"{self.seed}/{key[0]}/{key[1]}")
        return self._of_class[key].random()


def _key(item: LabelledPhoto) -> tuple[str, str]:
    return item.part, item.label


def split_list(text: str) -> list[str]:
    """The names in "a,b"."""
    return [name.strip() for name in text.split(",") if name.strip()]


# --- --rename -----------------------------------------------------------------------------------


def read_renames(words: Sequence[str]) -> dict[str, str]:
    """The pairs of --rename: "old=new", or files of them.

    Raises:
        WrongUsage: neither, an empty name, or two new names for one class.
    """
    renames: dict[str, str] = {}
    for word in words:
        for old, new in _pairs(word):
            old, new = old.strip(), new.strip()
            if not old or not new:
                raise WrongUsage(f"--rename '{word}' has an empty name ('{old}' = '{new}').")
            if renames.setdefault(old, new) != new:
                raise WrongUsage(
                    f"--rename gives the class '{old}' two names: '{renames[old]}' and '{new}'."
                )
    return renames


def _pairs(word: str) -> list[tuple[str, str]]:
    path = Path(word)
    if path.suffix.lower() in (".json", ".csv", ".tsv") and "=" not in word:
        try:
            return _pairs_of_file(path)
        except FileNotFoundError:
            raise WrongUsage(f"--rename: there is no file '{word}'.") from None
        except (ValueError, TypeError, AttributeError, csv.Error) as error:
            raise WrongUsage(
                f"--rename: '{word}' is no list of old and new names ({error}). A JSON file holds "
                '{"old": "new"}, a CSV file old,new in each line.'
            ) from None
    pieces = word.split(",") if all("=" in piece for piece in word.split(",")) else [word]
    if not all("=" in piece for piece in pieces):
        raise WrongUsage(
            f"--rename '{word}' is neither old=new nor a .csv or .json file of such pairs."
        )
    return [(old, new) for old, _, new in (piece.partition("=") for piece in pieces)]


def _pairs_of_file(path: Path) -> list[tuple[str, str]]:
    if path.suffix.lower() == ".json":
        pairs = read_document(path, dict[str, str | int | float])
        return [(old, str(new)) for old, new in pairs.items()]
    text = read_regular(path).decode("utf-8-sig")
    delimiter = "\t" if "\t" in text else ","
    cells = csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    rows = [row for row in cells if row]
    if not rows:
        raise ValueError("it is empty")
    if [cell.strip().lower() for cell in rows[0]] in (["old", "new"], ["from", "to"]):
        rows = rows[1:]
    short = [row for row in rows if len(row) != 2]
    if short:
        raise ValueError(f"not two cells: {short[0]}")
    return [(old, new) for old, new in rows]
