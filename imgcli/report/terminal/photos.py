"""What import, scrape, credits, split and merge did, for the terminal, by their JSON documents."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.report.terminal.tables import first, number, reasons, table, text, texts
from imgcli.text import count, listed, printable

Document = Mapping[str, Any]


def imported(document: Document, notes: Sequence[str], following: str) -> list[RenderableType]:
    """Photos per class, totals, rejected files, and the next command.

    Args:
        following: that command.
    """
    rejected, conflicts, parts = document["rejected"], document["conflicts"], document.get("parts")
    lines = [
        f"Added {count(document['added'], 'photo')} to {document['out']}, rejected "
        f"{count(len(rejected), 'file')}.",
        *reasons(rejected),
    ]
    duplicates = document["duplicates"]
    if already := document["skipped"] - len(duplicates):
        n = count(already, "photo", "photos")
        lines.append(f"Skipped {n}, already in {document['out']} byte for byte.")
    if duplicates:
        lines.append(f"{count(len(duplicates), 'exact duplicate')} in the source, taken once:")
        lines += first([f"{origin} = {document['out']}/{path}" for origin, path in duplicates])
    if conflicts:
        n = count(len(conflicts), "photo is", "photos are")
        lines.append(f"{n} in several classes, byte for byte:")
        lines += first([" = ".join(paths) for paths in conflicts])
        lines.append("Resolve them with --on-conflict first or skip, and --force.")
    lines += notes
    if parts is not None:
        sizes = ", ".join(f"{n:,} {part}" for part, n in parts.items())
        lines.append(f"Split of the source: {sizes}.")
    if len(document["classes"]) == 1:
        lines.append("One class only: import others before you split.")
    elif parts is not None and "train" not in parts:
        lines.append("There is no train part: import one before you train.")
    else:
        lines.append(f"Next: {following}")
    return [_class_table(document["classes"]), *texts(lines)]


def scraped(document: Document) -> list[RenderableType]:
    """Photos per class, totals, photos not taken, and the next command."""
    rejected, deferred = document["rejected"], document["deferred"]
    duplicates = document["duplicates"]
    lines = [
        f"Added {count(document['added'], 'photo')} to {document['out']}, skipped "
        f"{document['skipped'] - len(duplicates):,} already there, rejected {len(rejected):,}, "
        f"deferred {len(deferred):,}.",
        *reasons(rejected),
    ]
    if duplicates:
        n = count(len(duplicates), "exact duplicate")
        lines += [f"{n} in the source, taken once:", *reasons(duplicates)]
    if deferred:
        lines += ["Deferred; the same command tries them again:", *reasons(deferred)]
    if document["short"]:
        missing = ", ".join(f"{label} {n:,}" for label, n in document["short"].items())
        lines.append(f"Missing of the photos requested: {missing}.")
    if document["interrupted"]:
        cut = count(document["interrupted"], "request")
        lines.append(f"Repeated: {cut} that an earlier, interrupted run had begun.")
    if not document["classes"]:
        return texts(lines)
    folder = quote(document["out"])
    lines.append(f"Credit the photos where you show them: imgcli credits {folder}")
    lines.append(f"Next: imgcli check {folder}")
    return [_class_table(document["classes"]), *texts(lines)]


def credited(document: Document) -> list[RenderableType]:
    """The page, and photos per licence."""
    kinds = ", ".join(f"{n:,} {name}" for name, n in document["licences"].items())
    n = count(document["photos"], "photo")
    lines = [f"The credits of {n} are in {document['out']}: {kinds}."]
    if document["uncredited"]:
        missing = count(document["uncredited"], "photo was", "photos were")
        lines.append(f"{missing} imported; their authors are not recorded.")
    return texts(lines)


def _class_table(classes: Mapping[str, int]) -> Table:
    """Photos per class, and in all."""
    shown = table(text("class"), number("photos"), gap=2)
    for name, photos in classes.items():
        shown.add_row(Text(printable(name)), f"{photos:,}")
    shown.add_section()
    shown.add_row(f"{len(classes)} in all", f"{sum(classes.values()):,}")
    return shown


def split(
    document: Document, notes: Sequence[str], raw: str, following: str
) -> list[RenderableType]:
    """Photos per class and part, anything unexpected, and the next command.

    Args:
        following: that command.
    """
    what = "photos" if document["grouped_by"] else "duplicates"
    lines = [f"Groups of {what} kept together: {document['groups_kept_together']:,}.", *notes]
    if document["rejected"]:
        lines.append(f"Rejected, and left in '{raw}': {len(document['rejected']):,}.")
        lines += reasons(document["rejected"])
    if len(document["classes"]) == 1:
        lines.append("One class only: add others, and split again, before you train.")
    else:
        lines.append(f"Next: {following}")
    return [_split_table(document), *texts(lines)]


def _split_table(document: Document) -> Table:
    classes = document["classes"]
    parts = list(next(iter(classes.values())))
    title = Text(f"Photos in {printable(document['out'])}")
    table = Table("class", title=title, title_justify="left")
    for name in (*parts, "total"):
        table.add_column(name, justify="right")
    for name, n in classes.items():
        numbers = [n[part] for part in parts]
        table.add_row(Text(printable(name)), *(f"{m:,}" for m in (*numbers, sum(numbers))))
    table.add_section()
    totals = [sum(n[part] for n in classes.values()) for part in parts]
    table.add_row(f"{len(classes)} classes", *(f"{m:,}" for m in (*totals, sum(totals))))
    return table


def merged(
    document: Document, notes: Sequence[str], *, undone: bool, following: str
) -> list[RenderableType]:
    """Old and new classes, totals, anything unexpected, and the next command.

    Args:
        following: that command.
    """
    classes, lines = document["classes"], []
    for merge in document["merges"]:
        name, old = merge["name"], " + ".join(merge["classes"])
        photos = "" if undone else f" ({count(classes[name], 'photo')})"
        lines.append(f"{name} → {old}" if undone else f"{old} → {name}{photos}")
    n = count(len(classes), "class", "classes")
    lines.append(f"{count(sum(classes.values()), 'photo')} in {n} in {document['out']}.")
    if document["copied"]:
        lines.append(f"Copied: {document['copied']}, since hard links do not reach there.")
    if document["left"]:
        lines.append(f"Added since the merge, and left where they are: {listed(document['left'])}.")
    lines += notes
    if len(classes) > 1:
        lines.append(f"Next: {following}")
    return texts(lines)
