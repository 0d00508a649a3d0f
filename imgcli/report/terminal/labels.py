"""Labels to review, and relabelled photos, for the terminal.

`issues` are those of the JSON document throughout, worst first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from imgcli.report.terminal import tables
from imgcli.text import count, percent, printable

MAX_LISTED = 20  # rows of the table
NONE = "No labels to review: none contradicts the out-of-fold predictions clearly enough."
# Measured on frozen features of 2,056 photos; see evaluation/label_errors.
EXPECTED = (
    "If 5 % of all labels are wrong, expect 65 to 75 % of this list to be wrong; if fewer, less."
)
LEGEND = (
    "Probability: out-of-fold, of the label → of the suggested label. Neighbours: the most similar "
    "photos, and how many of them have the suggested label."
)

Issue = Mapping[str, Any]


def table(issues: Sequence[Issue], too_few: str | None = None) -> RenderableType:
    """The worst of them: the photo, its label, the suggested label, and the evidence.

    Args:
        too_few: the sentence that photos are too few to find any.
    """
    if not issues:
        return Text(too_few or NONE)
    shown = tables.table(
        *map(tables.text, ("photo", "label", "suggested")),
        *map(tables.number, ("probability\nin %", "neighbours\nas suggested")),
    )
    for issue in issues[:MAX_LISTED]:
        texts = [printable(issue[key]) for key in ("path", "label", "suggestion")]
        shown.add_row(*map(Text, texts), _probability(issue), _neighbours(issue))
    more = len(issues) - MAX_LISTED
    rest = f" {count(more, 'photo')} more: the plan lists them all." if more > 0 else ""
    heading = Text(f"Labels to review ({len(issues):,})", style="bold")
    return Group(heading, Text(EXPECTED), shown, Text(LEGEND + rest))


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
    lines = [f"  {move['path']} → {move['to']}" for move in listed[:MAX_LISTED]]
    if len(listed) > MAX_LISTED:
        lines.append(f"  and {len(listed) - MAX_LISTED:,} more; --json lists all")
    left = [f"Left {item['path']}: {item['reason']}" for item in done["left"]]
    if not listed:
        return left or ["The plan asks for no other label. Nothing was moved."]
    if done["quarantine"] is None:
        return [f"Would relabel {count(len(listed), 'photo')}:", *lines]
    head = f"Relabelled {count(len(listed), 'photo')}:"
    return [head, *lines, *left, f"Undo: {undo}", f"Next: {then}"]
