"""What import, scrape and credits did, for the terminal; from their JSON documents."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.text import count, printable

MAX_LISTED = 10  # lines of one kind on the terminal; --json has all of them

Document = Mapping[str, Any]


def imported(document: Document, notes: Sequence[str]) -> list[RenderableType]:
    """Photos per class, totals, rejected files, and the next command."""
    rejected, conflicts, parts = document["rejected"], document["conflicts"], document.get("parts")
    lines = [
        f"Added {count(document['added'], 'photo')} to {document['out']}, skipped "
        f"{count(document['skipped'], 'exact duplicate')}, rejected "
        f"{count(len(rejected), 'file')}.",
        *reasons(rejected),
    ]
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
    folder = quote(document["out"])
    if parts is None:
        lines.append(f"Next: imgcli split {folder}")
    else:
        data = "" if folder == "dataset" else f" --data {folder}"
        lines.append(f"Next: imgcli train --arch resnet101 --freeze{data}")
    return [class_table(document["classes"]), *texts(lines)]


def scraped(document: Document) -> list[RenderableType]:
    """Photos per class, totals, photos not taken, and the next command."""
    rejected, deferred = document["rejected"], document["deferred"]
    lines = [
        f"Added {count(document['added'], 'photo')} to {document['out']}, skipped "
        f"{document['skipped']:,} already there, rejected {len(rejected):,}, deferred "
        f"{len(deferred):,}.",
        *reasons(rejected),
    ]
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
    return [class_table(document["classes"]), *texts(lines)]


def credited(document: Document) -> list[RenderableType]:
    """The page, and photos per licence."""
    kinds = ", ".join(f"{n:,} {name}" for name, n in document["licences"].items())
    n = count(document["photos"], "photo")
    lines = [f"The credits of {n} are in {document['out']}: {kinds}."]
    if document["uncredited"]:
        missing = count(document["uncredited"], "photo was", "photos were")
        lines.append(f"{missing} imported; their authors are not recorded.")
    return texts(lines)


def class_table(classes: Mapping[str, int]) -> RenderableType:
    """Photos per class, and in all."""
    table = Table("class", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("photos", justify="right")
    for name, photos in classes.items():
        table.add_row(Text(printable(name)), f"{photos:,}")
    table.add_section()
    table.add_row(f"{len(classes)} in all", f"{sum(classes.values()):,}")
    return table


def reasons(rejected: Sequence[Document]) -> list[str]:
    """The first files of a list with their reasons."""
    return first([f"{item['path']}: {item['reason']}" for item in rejected])


def first(lines: Sequence[str]) -> list[str]:
    """The first lines, indented, and the number of further ones."""
    shown = [f"  {line}" for line in lines[:MAX_LISTED]]
    if len(lines) > MAX_LISTED:
        shown.append(f"  and {len(lines) - MAX_LISTED:,} more; --json lists all")
    return shown


def texts(lines: Sequence[str]) -> list[RenderableType]:
    """Lines as they go to a terminal."""
    return [Text(printable(line)) for line in lines]
