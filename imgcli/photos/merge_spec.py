"""Which classes are to become one: as typed, "crab+lobster=shellfish", or from a plan's file."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from msgspec import Struct

from imgcli.documents import DocumentError, read_document, reason_of
from imgcli.errors import DataError, WrongUsage
from imgcli.text import listed

MAX_NAME = 255  # bytes of a folder's name


@dataclass(frozen=True)
class Merge:
    """Classes that become one, and what it is called."""

    classes: tuple[str, ...]
    name: str


class Plan(Struct):
    """A plan's file."""

    merges: list[Merge]
    data: str | None = None  # the dataset that it was made on


def typed_merge(text: str, classes: Sequence[str]) -> Merge:
    """What "A+B=NAME" or "A+B" means where these classes are; names may hold "+" and "=".

    Raises:
        DataError: it names a class that is not there.
        WrongUsage: it means nothing, or more than one thing.
    """
    ends = [len(text), *(i for i, char in enumerate(text) if char == "=")]
    found = [
        Merge(names, text[end + 1 :] if end < len(text) else text)
        for end in ends
        for names in _joined(text[:end], sorted(classes))
        if len(names) > 1
    ]
    if len(found) == 1:
        return found[0]
    if found:
        ways = " or ".join(f"{listed(merge.classes)} as '{merge.name}'" for merge in found[:2])
        raise WrongUsage(f"'{text}' can mean {ways}. Write it in a file, with --plan.")
    names = text.rpartition("=")[0].split("+") if "=" in text else text.split("+")
    if len(names) < 2:
        raise WrongUsage(f"'{text}' names one class; a merge is of two or more: 'A+B=NAME'.")
    raise _unknown([name for name in names if name not in classes], classes)


def read_plan(file: Path) -> list[Merge]:
    """The merges of a plan, as `imgcli suggest-merges` leaves one in its run.

    Raises:
        DataError: it cannot be read, or has no merge.
    """
    expected = 'It holds {"merges": [{"classes": ["a", "b"], "name": "ab"}]}'
    try:
        merges = read_document(file, Plan).merges
    except FileNotFoundError:
        raise DataError(f"There is no plan '{file}'. Make one: imgcli suggest-merges") from None
    except (OSError, DocumentError) as error:
        raise DataError(
            f"'{file}' is no plan that can be read ({reason_of(error)}). {expected}; "
            "make one with `imgcli suggest-merges`."
        ) from None
    if not merges:
        raise DataError(f"The plan '{file}' has no merge, so there is nothing to do.")
    return merges


def check_merges(merges: Sequence[Merge], classes: Sequence[str], root: Path) -> None:
    """Refuse merges that cannot be carried out together.

    Raises:
        DataError: a class that is not there, one in two merges, or a name that is taken.
        WrongUsage: a name that cannot be a class folder's.
    """
    members = list(chain.from_iterable(merge.classes for merge in merges))
    unknown = [name for name in members if name not in classes]
    if unknown:
        raise _unknown(unknown, classes, root)
    twice = [name for name, n in Counter(members).items() if n > 1]
    if twice:
        raise DataError(f"Class {listed(twice)} is merged twice; name each class once.")
    for merge in merges:
        if len(merge.classes) < 2:
            raise WrongUsage(f"A merge of {listed(merge.classes)} alone; name two classes or more.")
        _check_name(merge.name)
    names = [merge.name for merge in merges]
    for name in names:
        if names.count(name) > 1 or name in set(classes) - set(members):
            raise DataError(
                f"'{name}' is the name of another class in '{root}' or of another merge. Choose "
                "another name, or merge those too."
            )
        if name in members and name not in next(m.classes for m in merges if m.name == name):
            raise DataError(
                f"'{name}' is a class that goes into another merge. Choose another name."
            )


def _joined(text: str, classes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every way to read `text` as classes joined by "+"."""
    for name in classes:
        if text == name:
            yield (name,)
        elif text.startswith(f"{name}+"):
            yield from ((name, *rest) for rest in _joined(text[len(name) + 1 :], classes))


def _check_name(name: str) -> None:
    is_wrong = name[:1] in ("", ".", "-") or any(c == "/" or not c.isprintable() for c in name)
    if is_wrong or len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
        raise WrongUsage(
            f"'{name}' cannot name a class folder: it is empty, too long, begins with a dot or a "
            "dash, or has a slash or a control character in it."
        )


def _unknown(names: Sequence[str], classes: Sequence[str], root: Path | None = None) -> DataError:
    """The error for classes that are not there, with those that may be meant."""
    where = f" in '{root}'" if root else ""
    close = list(
        dict.fromkeys(chain(*(difflib.get_close_matches(name, classes, 3) for name in names)))
    )
    meant = f" Did you mean {listed(close)}?" if close else f" There are {listed(sorted(classes))}."
    return DataError(f"No class {listed(names)}{where}.{meant}")
