"""Tables that say it together: photos here, their labels there, the classes' names elsewhere.

    images.txt               1 001.Albatross/a.jpg        n02119789 1 kit_fox      map_clsloc.txt
    image_class_labels.txt   1 1                          490                      ground_truth.txt
    classes.txt              1 001.Albatross              361
    train_test_split.txt     1 0

Two tables are joined by the columns whose values agree best: what is in them decides, for lists
have no names of columns, and ids of photos and of classes are both numbers. Labels without ids are
those of the photos in their order.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import parts_in
from imgcli.photo_files import PhotoFiles
from imgcli.records import Rejected
from imgcli.tables import IDS, LABELS, LISTS, NUMBER, SPLITS, Row, column, table_rows
from imgcli.text import count, listed

Cells = dict[str, Any]

_FEWEST = 4  # labels of which most are to come again
_OTHER_PART = {"train": "test", "val": "train", "test": "train"}
_NAMES = ("name", "words", "description", "title", *LABELS)
_OF_CLASSES = re.compile(r"class|categor|synset|names?|words|species|breeds?", re.IGNORECASE)
_WORDNET = re.compile(r"n\d{8}")
_IMAGENET = 1000  # classes, whose own numbers are not in the order of their WordNet ids


@dataclass
class Joined:
    """The rows of a table with the cells of others, and sentences about how they belong."""

    rows: list[Row]
    label: str | None = None  # the column of labels, where the user named it
    notes: list[str] = field(default_factory=list)

    def label_in(self, names: Iterable[str]) -> str | None:
        """The column of labels among these."""
        names = list(names)
        return self.label if self.label in names else column(names, LABELS)


def rows_in_order(path: Path, files: PhotoFiles) -> list[Row] | None:
    """The labels of a table without photos or ids, each with its photo; None for other tables.

    Raises:
        DataError: as many labels as photos there are not, or the photos have two orders.
    """
    rows = list(table_rows(path))
    first = next((cells for _, cells in rows if not isinstance(cells, Rejected)), {})
    if len(first) != 1:
        return None
    (name,) = first
    labels = [cells if isinstance(cells, Rejected) else cells[name] for _, cells in rows]
    photos = files.photos()
    named = [label for label in labels if isinstance(label, str) and files.holds(label)]
    if len(named) > len(labels) / 2:
        raise DataError(
            f"'{path}' names photos, such as '{named[0]}', and no labels. If their folders are the "
            f"classes, import the folder: imgcli import {quote(str(files.root))}"
        )
    several = {str(label) for label in labels if not isinstance(label, Rejected)}
    if len(labels) >= _FEWEST and len(several) > len(labels) / 2:
        return None  # names or sentences, no labels
    if len(photos) == len(labels) + 1 and path.suffix.lower() not in LISTS:
        labels.insert(0, name)  # there is no line of names
    if len(photos) != len(labels):
        where = f"below '{files.root}' there {'is' if len(photos) == 1 else 'are'}"
        raise DataError(
            f"'{path}' has {count(len(labels), 'label')} without photos or ids, and {where} "
            f"{count(len(photos), 'photo')}: they are no labels of those photos in their order. "
            "Say where the photos are, --root FOLDER, or give a table such as: path,label"
        )
    by_numbers = sorted(photos, key=_by_numbers)
    if photos != by_numbers:
        raise DataError(
            f"'{path}' has labels without photos or ids, and the photos below '{files.root}' have "
            f"two orders: by their names {listed(photos, 3)}, and by their numbers "
            f"{listed(by_numbers, 3)}. Give a table such as: path,label"
        )
    return [
        (number, label if isinstance(label, Rejected) else {"path": photo, "label": label})
        for number, (photo, label) in enumerate(zip(photos, labels, strict=True), 1)
    ]


def in_order_sentence(path: Path, rows: Sequence[Row]) -> str:
    """What was taken: the first label for the first photo."""
    cells = [one for _, one in rows if not isinstance(one, Rejected)]
    first = f": '{cells[0]['label']}' is that of '{cells[0]['path']}'" if cells else ""
    return f"'{path}' has labels alone, which are taken for the photos in their order{first}."


def _by_numbers(path: str) -> list[tuple[int, str]]:
    """A key that puts photo2 before photo10."""
    return [(int(p) if p.isdigit() else -1, p) for p in re.split(r"(\d+)", path)]


def joined(
    path: Path, rows: Sequence[Row], others: Sequence[Path], label: str | None = None
) -> Joined:
    """The rows of a table with the cells of others, each joined by what both have.

    Args:
        label: the column of labels; found by its name by default.

    Raises:
        WrongUsage: a table has nothing in common with the others.
        DataError: the labels' numbers cannot be matched with a list of names.
    """
    tables = {other: _Table.read(other) for other in others}
    found = Joined(_with_parts(path, rows), label)
    names: tuple[str, ...] = ()
    for _, cells in found.rows:
        if not isinstance(cells, Rejected):
            names = tuple(cells)
            break
    while tables:
        values = _values(found.rows)
        own_label = found.label_in(values)
        links = [one for t in tables.values() if (one := _best_link(values, t, own_label))]
        if links:
            link = max(links, key=lambda one: one.score)
            del tables[link.table.path]
            _join(path, found, link)
            continue
        label = own_label
        for other, table in list(tables.items()):
            if label is None or not _in_order(path, found, label, values[label], table):
                raise WrongUsage(
                    f"--join '{other}' has no column in common with '{path}', nor values that are "
                    f"in it: it has {listed(table.names, 12) if table.names else 'none'}, and that "
                    f"{listed(names, 12)}."
                )
            del tables[other]
    return found


@dataclass(frozen=True)
class _Table:
    path: Path
    rows: tuple[Cells, ...]
    names: tuple[str, ...]  # of its columns

    @classmethod
    def read(cls, path: Path) -> "_Table":
        rows = _with_parts(path, list(table_rows(path)))
        cells = tuple(dict(one) for _, one in rows if not isinstance(one, Rejected))
        return cls(path, cells, tuple(cells[0]) if cells else ())

    @property
    def has_no_names(self) -> bool:
        """Whether it is a list without a line of names."""
        return set(self.names) <= {"id", "label", "path", NUMBER, SPLITS[0]}

    def by(self, name: str) -> dict[str, Cells]:
        """Its rows by a column; empty where a value comes twice."""
        found = {_text(row.get(name)): row for row in self.rows}
        found.pop("", None)
        return found if len(found) == len(self.rows) else {}


@dataclass(frozen=True)
class _Link:
    """How a table is joined: the column of the whole, and that of the table."""

    table: _Table
    own: str
    theirs: str
    by_key: Mapping[str, Cells]
    score: tuple[float, ...]


def _best_link(values: Mapping[str, set[str]], table: _Table, label: str | None) -> _Link | None:
    """The columns whose values agree best; of equals, those of one name."""
    number = column(list(values), IDS)
    of_classes = bool(_OF_CLASSES.search(table.path.stem)) and "label" not in table.path.stem
    links = []
    for theirs in table.names:
        by_key: dict[str, Cells] | None = None
        for own in values:
            may_be = own == theirs or (own in (label, number) and len(table.names) > 1)
            if own == theirs == "label" and table.has_no_names:
                may_be = False  # a name or a class, not the key of a list
            if not may_be:
                continue
            by_key = table.by(theirs) if by_key is None else by_key
            share = len(values[own] & by_key.keys()) / max(1, len(values[own]))
            if share > 0 or (own == theirs and not table.has_no_names and by_key):
                suits = (own == label) if of_classes else (own == theirs)
                links.append(_Link(table, own, theirs, by_key, (share, float(suits))))
    return max(links, key=lambda one: one.score, default=None)


def _join(path: Path, found: Joined, link: _Link) -> None:
    """Add the cells of a table, or the names that it has for the classes."""
    label = found.label_in(_values(found.rows))
    if link.own != label or (link.own == link.theirs and not link.table.has_no_names):
        empty: Cells = {}
        for i, (number, cells) in enumerate(found.rows):
            if not isinstance(cells, Rejected):
                theirs = link.by_key.get(_text(cells.get(link.own)), empty)
                found.rows[i] = number, {**theirs, **cells}
        return
    names = _class_names(link.table, link.theirs, found)
    for i, (number, cells) in enumerate(found.rows):
        if isinstance(cells, Rejected):
            continue
        key = _text(cells.get(label))
        if key and key not in names:
            found.rows[i] = (
                number,
                Rejected(f"{path}:{number}", f"its class {key} is not in '{link.table.path}'"),
            )
        elif key:
            more = {name: v for name, v in link.by_key[key].items() if name != link.theirs}
            found.rows[i] = number, {**more, **cells, label: names[key]}


def _class_names(table: _Table, key: str, found: Joined) -> dict[str, str]:
    """The name of each class by its number or id; of classes of one name with that.

    The last column with words is that of names, unless one is called so.
    """
    others = [name for name in table.names if name != key]
    worded = [n for n in others if not all(_text(row.get(n)).isdigit() for row in table.rows)]
    name = column(worded, _NAMES) or (worded or others)[-1]
    labels = {_text(row[key]): _text(row.get(name)) for row in table.rows}
    times = Counter(labels.values())
    if twice := sorted(label for label, n in times.items() if n > 1):
        found.notes.append(
            f"'{table.path}' has the same name for several classes, {listed(twice, 4)}: the number "
            "of the class is put behind it."
        )
    found.notes.append(f"The names of the classes are those of '{table.path}'.")
    return {k: f"{label} {k}" if times[label] > 1 else label for k, label in labels.items()}


def _in_order(path: Path, found: Joined, label: str, values: set[str], table: _Table) -> bool:
    """Name classes by a list whose lines are in the order of their numbers; False if it is none.

    Raises:
        DataError: the numbers do not fit the lines, or may count from 0 or from 1.
    """
    columns = [[_text(row.get(name)) for row in table.rows] for name in table.names]
    has_numbers = any(all(map(str.isdigit, cells)) for cells in columns)
    if not columns or has_numbers or not values or not all(map(str.isdigit, values)):
        return False
    numbers, n = {int(value) for value in values}, len(table.rows)
    low, high = min(numbers), max(numbers)
    number_them = f"Give '{table.path}' with the number before each name"
    if high > n or (high == n and low == 0):
        raise DataError(
            f"'{table.path}' names {count(n, 'class', 'classes')}, and the labels of '{path}' go "
            f"from {low} to {high}. {number_them}."
        )
    if low > 0 and high < n:
        raise DataError(
            f"'{table.path}' names {count(n, 'class', 'classes')} in order, and the labels of "
            f"'{path}' go from {low} to {high}: they may count from 0 or from 1. {number_them}."
        )
    first = 0 if low == 0 else 1
    ids = columns[0]
    if first and n == _IMAGENET and all(map(_WORDNET.fullmatch, ids)) and ids == sorted(ids):
        raise DataError(
            f"'{table.path}' is in the order of WordNet's ids, and the labels of '{path}' count "
            "from 1 as ImageNet's own numbers do, whose order is another one. Give a list with "
            "those numbers, such as map_clsloc.txt, or meta.mat as CSV: ILSVRC2012_ID,WNID,words"
        )
    numbered = _Table(
        table.path,
        tuple({"line": str(i), **row} for i, row in enumerate(table.rows, first)),
        ("line", *table.names),
    )
    found.notes.append(
        f"The lines of '{table.path}' are taken for the classes {first} to {first + n - 1}, in "
        "their order."
    )
    _join(path, found, _Link(numbered, label, "line", numbered.by("line"), ()))
    return True


def _with_parts(path: Path, rows: Sequence[Row]) -> list[Row]:
    """A list of 0 and 1 whose name tells parts, as a column of parts: what the first means is 1."""
    named = re.findall("|".join(sorted(_OTHER_PART)), path.stem.lower())
    cells = [one for _, one in rows if not isinstance(one, Rejected)]
    flags = {_text(one.get("label")) for one in cells}
    listed_flags = bool(cells) and set(cells[0]) == {"id", "label"} and flags <= {"0", "1"}
    if not listed_flags or not (named and parts_in(path.stem)):
        return list(rows)
    means = {"1": named[0], "0": _OTHER_PART[named[0]]}
    return [(n, one if isinstance(one, Rejected) else _as_part(one, means)) for n, one in rows]


def _as_part(cells: Mapping[str, Any], means: Mapping[str, str]) -> Cells:
    return {"id": cells["id"], SPLITS[0]: means[_text(cells["label"])]}


def _values(rows: Sequence[Row]) -> dict[str, set[str]]:
    """What stands in each column of the rows."""
    found: dict[str, set[str]] = {}
    for _, cells in rows:
        if isinstance(cells, Rejected):
            continue
        for name, value in cells.items():
            if isinstance(value, str | int | float):
                found.setdefault(name, set()).add(_text(value))
    for values in found.values():
        values.discard("")
    return found


def _text(value: Any) -> str:
    """A cell as a key: 007 and 7.0 are 7."""
    text = str("" if value is None else value).strip()
    if re.fullmatch(r"\d+(\.0+)?", text):
        return str(int(text.partition(".")[0]))
    return text
