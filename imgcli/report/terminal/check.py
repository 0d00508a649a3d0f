"""The findings of `check`, labels to review and relabelled photos, for the terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from imgcli.report.terminal.tables import first, label, number, table, text, texts
from imgcli.text import count, percent, printable

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
MAX_REASONS = 8  # rows for one finding
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


def checked(document: Mapping[str, Any], following: str) -> list[RenderableType]:
    """The findings and the labels to review, what was moved, and the next command.

    Args:
        document: of the JSON contract of `check`.
        following: the command to type next, if there is no plan to carry out.
    """
    root, lines = quote(document["dir"]), []
    if document["sheet"]:
        lines.append(f"Contact sheet: {document['sheet']}")
    if "fixed" in document:
        lines += fixed(document["fixed"], f"imgcli restore {root}")
    shown = found(document) if "files" in document else []
    if "labels" in document:
        shown.append(labels_table(document["labels"], document["summary"], document["too_few"]))
    return [*shown, *texts(lines + _next_steps(document, following))]


def _next_steps(document: Mapping[str, Any], following: str) -> list[str]:
    if document.get("plan"):
        plan = quote(document["plan"])
        return [
            f"To accept: write yes in the column accept of {plan}; other rows change nothing",
            f"Next: imgcli check --fix {plan}",
        ]
    if "labels" in document or len(document["classes"]) < 2:
        return []
    if document["parts"] and "train" not in document["parts"]:
        return []
    return [f"Next: {following}"]


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
    for what in dict.fromkeys(STAGES[item["stage"]] for item in unreadable):
        some = [item for item in unreadable if STAGES[item["stage"]] == what]
        by_reason = some[0]["stage"] in ("read", "identify")  # of damage each has its own
        yield from _by_reason(what, some, "reason") if by_reason else _one_row(what, some, "reason")
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
        if issues and kind == "not-used":
            yield from _by_reason(KINDS[kind], issues, "detail")
        elif issues:
            yield from _one_row(KINDS[kind], issues, "detail")


def _by_reason(
    what: str, items: Sequence[Mapping[str, Any]], key: str
) -> Iterator[tuple[str, int, str]]:
    """A row per reason, since each has its own remedy; the rarest share one."""
    reasons = [reason for reason, _ in Counter(item[key] for item in items).most_common()]
    own = reasons if len(reasons) <= MAX_REASONS else reasons[: MAX_REASONS - 1]
    for reason in own:
        yield from _one_row(what, [item for item in items if item[key] == reason], key)
    if rest := [item for item in items if item[key] not in own]:
        yield from _one_row(what, rest, key)


def _one_row(
    what: str, items: Sequence[Mapping[str, Any]], key: str
) -> Iterator[tuple[str, int, str]]:
    n = sum(len(item.get("paths", [0])) for item in items)
    yield what, n, f"{items[0]['path']}: {items[0][key]}"


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


# --- labels --------------------------------------------------------------------------------------

MAX_LABELS = 20  # rows of the table
NOT_ACCEPTED = (
    "The plan asks for no other label. Nothing was moved. Write yes in its column accept where the "
    "new label is right."
)
LABELS_LEGEND = (
    "Probability: out-of-fold, of the label → of the suggested label. Neighbours: the most similar "
    "photos, and how many of them have the suggested label."
)

Issue = Mapping[str, Any]  # of the JSON document, which has the worst first


def no_labels(summary: str) -> str:
    """The sentences where no label is to be reviewed."""
    return f"No labels to review. {summary}"


def labels_table(
    issues: Sequence[Issue], summary: str, too_few: str | None = None
) -> RenderableType:
    """The worst of them: the photo, its label, the suggested label, and the evidence.

    Args:
        summary: how many of them, and of all labels, are expected to be wrong.
        too_few: the sentence that photos are too few to find any.
    """
    if not issues:
        return Text(too_few or no_labels(summary))
    shown = table(
        *map(text, ("photo", "label", "suggested")),
        *map(number, ("probability\nin %", "neighbours\nas suggested")),
    )
    for issue in issues[:MAX_LABELS]:
        texts = [printable(issue[key]) for key in ("path", "label", "suggestion")]
        shown.add_row(*map(Text, texts), _probability(issue), _neighbours(issue))
    more = len(issues) - MAX_LABELS
    rest = f" {count(more, 'photo')} more: the plan lists them all." if more > 0 else ""
    heading = Text(f"Labels to review ({len(issues):,})", style="bold")
    return Group(heading, Text(summary), shown, Text(LABELS_LEGEND + rest))


def _probability(issue: Issue) -> str:
    return f"{percent(issue['probability'], '')} → {percent(issue['suggested_probability'], '')}"


def _neighbours(issue: Issue) -> str:
    if issue["nearest"] is None:
        return "–"
    return f"{issue['nearest_as_suggested']} of {issue['nearest']}"


def relabelled(done: Mapping[str, Any], undo: str, then: str) -> list[str]:
    """What a plan moved, or would move; how to undo it, and the next command.

    Args:
        done: "fixed" of the JSON document.
    """
    listed = done["moved"] or done.get("would_move", [])
    lines = first([f"{move['path']} → {move['to']}" for move in listed], MAX_LABELS)
    if not listed:
        return _left(done) or [NOT_ACCEPTED]
    if done["quarantine"] is None:
        return [f"Would relabel {count(len(listed), 'photo')}:", *lines]
    head = f"Relabelled {count(len(listed), 'photo')}:"
    return [head, *lines, *_left(done), f"Undo: {undo}", f"Next: {then}"]
