"""What split and merge made, for the terminal; from their JSON documents."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.report.terminal.collecting import reasons, texts
from imgcli.text import count, listed, printable

Document = Mapping[str, Any]


def split(document: Document, notes: Sequence[str], raw: str) -> list[RenderableType]:
    """Photos per class and part, anything unexpected, and the next command."""
    lines = [
        f"Groups of duplicates kept together: {document['groups_kept_together']:,}.",
        *notes,
    ]
    if document["rejected"]:
        lines.append(f"Rejected, and left in '{raw}': {len(document['rejected']):,}.")
        lines += reasons(document["rejected"])
    data = "" if document["out"] == "dataset" else f" --data {quote(document['out'])}"
    lines.append(f"Next: imgcli train --arch resnet101 --freeze{data}")
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
    document: Document, notes: Sequence[str], *, undone: bool, is_split: bool
) -> list[RenderableType]:
    """Old and new classes, totals, anything unexpected, and the next command."""
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
    out = quote(document["out"])
    next_ = f"train --arch resnet101 --freeze --data {out}" if is_split else f"split {out}"
    return texts([*lines, f"Next: imgcli {next_}"])
