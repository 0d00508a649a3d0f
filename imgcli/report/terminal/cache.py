"""The entries of the cache, for the terminal; from the JSON document of `cache`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.report.terminal.tables import number, table, text, texts
from imgcli.text import count, megabytes, printable

Document = Mapping[str, Any]

KINDS = {
    "pixels": "decoded pixels",
    "features": "frozen features",
    "sketches": "fingerprints",
    "facts": "sizes and sharpness",
    "thumbnails": "thumbnails",
    "digests": "hashes of files",
    "unfinished": "unfinished files",
}
STATES = {"other-version": "of another version", "damaged": "damaged"}


def entries(document: Document, *, removing: bool) -> list[RenderableType]:
    """The entries there now, and what was and was not removed."""
    stores, lines = document["stores"], []
    if removing:
        n = count(len(document["removed"]), "entry", "entries")
        lines.append(f"Removed {n}, freed {megabytes(document['freed'])}.")
    lines += [f"Left {item['path']}: {item['reason']}." for item in document["left"]]
    if not stores:
        return texts([*lines, "The cache is empty."])
    if not removing:
        lines.append("All of it can be made again. Make room: imgcli cache --prune, or --clear")
    return [_table(stores, document["bytes"]), *texts(lines)]


def _table(stores: Sequence[Document], size: int) -> Table:
    shown = table(text("kind"), text("of"), *map(number, ("photos", "size", "last used")), gap=2)
    for one in stores:
        kind: str = one["kind"]
        state = f" ({STATES[one['state']]})" if one["state"] in STATES else ""
        shown.add_row(
            Text(printable(KINDS.get(kind, kind))),
            Text(printable(one["about"]) + state),
            "–" if one["rows"] is None else f"{one['rows']:,}",
            megabytes(one["bytes"]),
            _ago(datetime.fromisoformat(one["last_used"])),
        )
    shown.add_section()
    shown.add_row(f"{len(stores)} in all", "", "", megabytes(size), "")
    return shown


def _ago(then: datetime) -> str:
    days = (datetime.now(UTC) - then).days
    return "today" if days < 1 else f"{count(days, 'day')} ago"
