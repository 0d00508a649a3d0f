"""The findings of `check`, for the terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from imgcli.report.terminal.tables import label, number, table, text
from imgcli.text import count, printable

KINDS = {
    "changed": "changed since import",
    "missing": "missing",
    "not-used": "not photos, or not in a class",
    "placeholder": "placeholder image",
    "tiny": "tiny",
    "blank": "blank",
    "dark": "very dark",
    "blurred": "blurred",
    "shape": "extreme aspect ratio",
    "extension": "wrong extension",
    "gps": "with GPS position",
    "animated": "animated",
}
STAGES = {
    "read": "cannot be read",
    "identify": "not an image",
    "open": "damaged",
    "limit": "too large",
    "decode": "damaged",
    "convert": "damaged",
}
CONFLICTS = {"classes": "same photo, two classes", "parts": "same photo, two parts"}
METADATA = {
    "exif_orientation": "rotated by EXIF",
    "gps": "with GPS",
    "animated": "animated, the first frame is used",
    "cmyk": "in CMYK",
    "more_than_8_bits": "of more than 8 bits per channel",
    "alpha": "with transparency, shown on white",
}


NONE = (
    "No problems found. Looked for: unreadable files, exact and near-duplicates, the same photo in "
    "two classes or parts, placeholder, tiny, blank, very dark and blurred images, extreme aspect "
    "ratios, wrong extensions."
)


def found(document: Mapping[str, Any]) -> list[RenderableType]:
    """The findings, kind by kind with one example each, and those about whole classes.

    Args:
        document: of the JSON contract of `check`.
    """
    shown = table(label("finding"), number("photos"), text("for example"), gap=2)
    for what, photos, example in rows(document):
        shown.add_row(what, f"{photos:,}", Text(printable(example)))
    return [
        Text(printable(_opening(document))),
        shown if shown.row_count else Text(NONE),
        *(Text(printable(f"• {line}")) for line in sentences(document)),
    ]


def sentences(document: Mapping[str, Any]) -> list[str]:
    """The findings about classes and about all photos."""
    issues = [
        f"{issue['class']}: {issue['detail']}." if "class" in issue else issue["detail"]
        for issue in document["issues"]
        if "path" not in issue
    ]
    metadata = [f"{n:,} {METADATA[key]}" for key, n in document["metadata"].items() if n]
    return [*issues, *([f"Metadata: {', '.join(metadata)}."] if metadata else [])]


def _opening(document: Mapping[str, Any]) -> str:
    sizes = list(document["classes"].values())
    if not sizes:
        return "No photo can be used."
    spread = f"{min(sizes):,}–{max(sizes):,} in each, median {median(sizes):,.0f}"
    classes = count(len(sizes), "class", "classes")
    return f"{count(document['photos'], 'photo')} of {classes}, {spread}."


def rows(document: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Kind, number of photos and an example of each finding."""
    unreadable = document["unreadable"]
    for what, n in Counter(STAGES[item["stage"]] for item in unreadable).items():
        first = next(item for item in unreadable if STAGES[item["stage"]] == what)
        yield what, n, f"{first['path']}: {first['reason']}"
    yield from _groups("exact duplicates", document["duplicates"])
    for what, n, example in _groups("near-duplicates", document["near_duplicates"]):
        yield what, n, f"{example} (distance {document['distances'][0][1]:.2f})"
    for kind, what in CONFLICTS.items():
        yield from _groups(what, [c["paths"] for c in document["conflicts"] if c["kind"] == kind])
    by_kind: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KINDS}
    for issue in document["issues"]:
        if "path" in issue:
            by_kind[issue["kind"]].append(issue)
    for kind, issues in by_kind.items():
        if issues:
            n = sum(len(issue.get("paths", [0])) for issue in issues)
            yield KINDS[kind], n, f"{issues[0]['path']}: {issues[0]['detail']}"


def _groups(what: str, groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, int, str]]:
    if groups:
        n = sum(map(len, groups))
        yield f"{what}, {count(len(groups), 'group')}", n, " = ".join(groups[0][:2])


def fixed(done: Mapping[str, Any], undo: str) -> list[str]:
    """The photos that were moved, or would be, by kind, and the command that moves them back."""
    listed = done["moved"] or done.get("would_move", [])
    if not listed:
        return ["Nothing was moved."] if not done["left"] else _left(done)
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in Counter(m["kind"] for m in listed).items())
    what = f"{count(len(listed), 'photo')} ({kinds})"
    if done["quarantine"] is None:
        return [f"Would move {what}:", *(f"  {m['path']}: {m['reason']}" for m in listed)]
    return [f"Moved {what} to {done['quarantine']}", *_left(done), f"Undo: {undo}"]


def _left(done: Mapping[str, Any]) -> list[str]:
    return [f"Left {item['path']}: {item['reason']}" for item in done["left"]]
