"""Signs that photos belong together, for `check` to name: their names, EXIF times, authors.

A sign counts where groups would change an estimate: most photos are in groups of several, most
groups are of one class, and a class has several of them. One long sequence (IMG_0001, IMG_0002, …)
is no grouping, nor is a prefix that only repeats the class. Years, dates and the rolls of cameras
(2019_0001, 20190512_143022, 101_0001) say when a photo was taken, not of whom: they count only
where photos of one of them are of one class far more often than chance has it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from imgcli.photos.grouping import BURST, bursts
from imgcli.text import count, percent, printable

# By the file's name, and by a folder inside the class folder. Each is a --group-by.
PATTERNS = (
    r"^[^/]+/([^/]+)/",  # ill/p07/03.png
    r"([^/_.-]*[0-9][^/_.-]*)[_.-][^/]*\.[^./]+$",  # p07_left_03.png: the first part with a number
    r"([^/]+?)[ _.(-]+[A-Za-z]{0,6}[0-9]+\)?\.[^./]+$",  # p07_03.png, anna (3).jpg, vid2_f004.png
    r"(?i)([^/]+)[ _.-]+(?:left|right|front|back|l|r|[a-d])\.[^./]+$",  # 10_left.jpeg
)
# Beginnings that cameras and programs give to every file.
_CAMERAS = {
    *("img", "image", "images", "imag", "dsc", "dscn", "dscf", "pict", "pic", "picture", "photo"),
    *("mvc", "cimg", "pxl", "wp", "sam", "gopr", "dji", "frame", "file", "download", "screenshot"),
    *("img_e", "_mg", "p", "mg", "isic", "unnamed", "sample", "crop", "val", "train", "test"),
}
_KNOWN = 0.5  # share of the photos that a sign is about
_NAMED = 0.9  # the same of names, of which one form fits all or is another's
_TOGETHER = 0.7  # of these, in groups of two photos or more
_SIZE = 1.8  # photos of a group in the mean: pairs, but for some that lost one
_ONE_CLASS = 0.7  # share of the photos together whose group is of one class
_MANY = 4.0  # photos of a group in the mean from which on groups of several classes count too
_LARGEST = 0.5  # share of the photos in one group; more is a name for all of them
_BEYOND_CHANCE = 0.3  # share of the photos of dates, in groups of one class
_GROUPS = 6  # and two for each class


_YEAR, _MONTH, _DAY = (
    "(?:19[5-9][0-9]|20[0-4][0-9])",
    "(?:0[1-9]|1[0-2])",
    "(?:0[1-9]|[12][0-9]|3[01])",
)
_DATE = re.compile(
    rf"{_YEAR}(?:[-_. ]?{_MONTH}(?:[-_. ]?{_DAY})?)?"  # 2019, 2019-05, 20190512
    rf"|{_DAY}[-_. ]?{_MONTH}[-_. ]?{_YEAR}|{_MONTH}[-_. ]?{_DAY}[-_. ]?{_YEAR}"
    rf"|(?:[0-4][0-9]){_MONTH}{_DAY}"  # 190512
    r"|1[0-9][0-9]"  # the roll of 101_0001.jpg
)


@dataclass(frozen=True)
class LikelyGroups:
    """A sign of groups."""

    group_by: str  # the option's value that uses it
    sentence: str
    keys: Mapping[int, Hashable]  # the group of each photo that has one, by row


def likely_groups(
    names: Sequence[str],
    labels: Sequence[str],
    taken: Sequence[tuple[str, float] | None],
    creators: Sequence[str | None],
) -> list[LikelyGroups]:
    """The signs of groups among N photos, at most one of each kind.

    Args:
        names: "<class>/<photo>", as a pattern of --group-by sees it.
        taken: camera and time in seconds.
    """
    by_name = [
        (pattern, keys)
        for pattern in PATTERNS
        if len(keys := _matched(pattern, names)) >= _NAMED * len(names) and _matter(keys, labels)
    ]
    found = []
    if by_name:  # the coarsest, which gives away least
        pattern, keys = min(by_name, key=lambda one: len(set(one[1].values())))
        what = "Folders" if pattern == PATTERNS[0] else "File names"
        sentence = _sentence(f"{what} tell groups", keys, labels)
        found.append(LikelyGroups(_simpler(pattern, keys, names), sentence, keys))
    known = [i for i, one in enumerate(taken) if one is not None]
    numbers = bursts([one for one in taken if one is not None])
    if _matter(keys := dict(zip(known, numbers, strict=True)), labels):
        how = f"EXIF times tell bursts, one camera within {BURST:g} seconds"
        found.append(LikelyGroups("exif:burst", _sentence(how, keys, labels), keys))
    if _matter(keys := {i: name for i, name in enumerate(creators) if name}, labels):
        how = "Photographers took several photos each"
        found.append(LikelyGroups("provenance:creator", _sentence(how, keys, labels), keys))
    return found


def _matched(pattern: str, names: Sequence[str]) -> dict[int, Hashable]:
    """What a pattern finds in each name, by row; nothing that a camera gives to every file."""
    search = re.compile(pattern).search
    found = ((i, search(name)) for i, name in enumerate(names))
    keys = {i: match[1] for i, match in found if match}
    return {i: key for i, key in keys.items() if key.lower().strip("_- ") not in _CAMERAS}


def _simpler(pattern: str, keys: Mapping[int, Hashable], names: Sequence[str]) -> str:
    """A pattern that finds the same and is easier to read, such as (p[0-9]+)_, if there is one."""
    begins = {re.sub(r"[0-9]+$", "", str(key)) for key in keys.values()}
    if pattern == PATTERNS[0] or len(begins) != 1:
        return pattern
    (begin,) = begins
    for end in ("_", "-", r"\."):
        simple = f"({re.escape(begin)}[0-9]+){end}"
        if _matched(simple, names) == keys:
            return simple
    return pattern


def _matter(keys: Mapping[int, Hashable], labels: Sequence[str]) -> bool:
    """Whether groups are such that an estimate that ignores them is likely to be too good."""
    sizes = Counter(keys.values())
    classes = set(labels)
    if len(keys) < _KNOWN * len(labels) or len(sizes) < max(_GROUPS, 2 * len(classes)):
        return False
    together = sum(size for size in sizes.values() if size > 1)
    if together < _TOGETHER * len(keys) or max(sizes.values()) > _LARGEST * len(keys):
        return False
    mean = len(keys) / len(sizes)
    of_class: dict[str, set[Hashable]] = defaultdict(set)
    in_class: dict[Hashable, set[str]] = defaultdict(set)
    for i, key in keys.items():
        of_class[labels[i]].add(key)
        in_class[key].add(labels[i])
    pure = sum(size for key, size in sizes.items() if size > 1 and len(in_class[key]) == 1)
    several = sum(len(found) > 1 for found in of_class.values())
    if mean < _SIZE or several < len(classes) / 2:
        return False
    if _are_dates(sizes):
        by_chance = _of_one_class_by_chance(sizes, Counter(labels[i] for i in keys))
        return pure >= max(_ONE_CLASS, by_chance + _BEYOND_CHANCE) * together
    return pure >= _ONE_CLASS * together or mean >= _MANY


def _are_dates(keys: Iterable[Hashable]) -> bool:
    """Whether all groups are called as years, dates or rolls, but for what all have in common."""
    names = [key for key in keys if isinstance(key, str)]
    if not names:
        return False
    pieces = [re.fullmatch(r"(?s)([^0-9]*)(.*?)([^0-9]*)", name) for name in names]
    around = {(piece[1], piece[3]) for piece in pieces if piece}
    return len(around) == 1 and all(piece and _DATE.fullmatch(piece[2]) for piece in pieces)


def _of_one_class_by_chance(sizes: Mapping[Hashable, int], labels: Mapping[str, int]) -> float:
    """The share of photos in groups of one class, of those in groups of several, at random."""
    n = sum(labels.values())
    several = [size for size in sizes.values() if size > 1]
    pure = sum(size * sum((m / n) ** size for m in labels.values()) for size in several)
    return pure / max(1, sum(several))


def _sentence(how: str, keys: Mapping[int, Hashable], labels: Sequence[str]) -> str:
    sizes = Counter(keys.values())
    in_class: dict[Hashable, set[str]] = defaultdict(set)
    for i, key in keys.items():
        in_class[key].add(labels[i])
    pure = sum(size for key, size in sizes.items() if len(in_class[key]) == 1) / len(keys)
    example, n = sizes.most_common(1)[0]
    named = f", such as '{printable(str(example))}' with {n:,}" if isinstance(example, str) else ""
    return (
        f"{how}: {count(len(keys), 'photo')} in {count(len(sizes), 'group')}{named}; "
        f"{percent(pure, digits=0)} are in a group of one class."
    )


def each_sentence(
    found: Sequence[LikelyGroups], command: str, parts: Sequence[str | None]
) -> Iterator[tuple[LikelyGroups, str]]:
    """Each sign with a whole sentence: what it means, and the command that uses it.

    Args:
        command: to type, such as "imgcli split raw".
        parts: of the N photos; None where there are none.
    """
    for one in found:
        where: dict[Hashable, set[str | None]] = defaultdict(set)
        for i, key in one.keys.items():
            where[key].add(parts[i])
        torn = sum("test" in having and len(having) > 1 for having in where.values())
        straddling = f" {count(torn, 'group')} have photos in test and outside it." if torn else ""
        yield (
            one,
            f"{one.sentence}{straddling} Photos of a group are often alike: with some of them in "
            "train, an estimate on the others may be too good. If they belong together: "
            f"{command} --group-by {quote(one.group_by)}",
        )
