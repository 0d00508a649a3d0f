"""Photos that are probably labelled wrong, and what was relabelled, for the terminal.

`issues` are those of the JSON document throughout, worst first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.text import count, percent, printable

MOST_LISTED = 20  # rows of the table

Issue = Mapping[str, Any]


def table(issues: Sequence[Issue], too_few: str | None = None) -> RenderableType:
    """The worst of them: the photo, its label, what it looks like, and what speaks for that.

    Args:
        too_few: the sentence that it says nothing if there is none.
    """
    if not issues:
        return Text(too_few or "No photo looks as if it were labelled wrong.")
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for title in ("photo", "label", "looks like"):
        shown.add_column(title, overflow="fold")
    for title in ("believed\nin %", "nearest\nphotos"):
        shown.add_column(title, justify="right", no_wrap=True)
    for issue in issues[:MOST_LISTED]:
        texts = [printable(issue[key]) for key in ("path", "label", "suggestion")]
        shown.add_row(*map(Text, texts), _believed(issue), _nearest(issue))
    legend = "Believed, and nearest photos: of the label → of what it looks like."
    more = len(issues) - MOST_LISTED
    rest = f" {count(more, 'photo')} more: the plan lists them all." if more > 0 else ""
    return Group(shown, Text(legend + rest))


def _believed(issue: Issue) -> str:
    return f"{percent(issue['probability'], '')} → {percent(issue['suggested_probability'], '')}"


def _nearest(issue: Issue) -> str:
    if issue["nearest"] is None:
        return "–"
    return f"{issue['nearest_as_labelled']} → {issue['nearest_as_suggested']}"


def relabelled(done: Mapping[str, Any], undo: str, then: str) -> list[str]:
    """What a plan moved, or would move, from where to where; how to undo it and how to go on.

    Args:
        done: "fixed" of the JSON document.
    """
    listed = done["moved"] or done.get("would_move", [])
    lines = [f"  {move['path']} → {move['to']}" for move in listed[:MOST_LISTED]]
    if len(listed) > MOST_LISTED:
        lines.append(f"  and {len(listed) - MOST_LISTED:,} more; --json lists all")
    left = [f"Left {item['path']}: {item['reason']}" for item in done["left"]]
    if not listed:
        return left or ["The plan asks for no other label. Nothing was moved."]
    if done["quarantine"] is None:
        return [f"Would relabel {count(len(listed), 'photo')}:", *lines]
    head = f"Relabelled {count(len(listed), 'photo')}:"
    return [head, *lines, *left, f"Undo: {undo}", f"Next: {then}"]
