"""Merge suggestions on the terminal: what, what it would do, why, and where to look."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.records import MergeSuggestion
from imgcli.text import count, percent, printable

MOST_PHOTOS = 4  # named per suggestion; --json has all of them


def suggestions(
    found: Sequence[MergeSuggestion], accuracy: float, plan: Path, too_few: str | None = None
) -> list[RenderableType]:
    """Best first; then how to act on them.

    Args:
        accuracy: before any merge.
        plan: the file that `imgcli merge --plan` takes.
        too_few: the sentence that it says nothing if there is none.
    """
    if not found:
        none = "No merge to suggest: no classes are confused more than chance explains."
        return [Text(too_few or none)]
    grid = _ranked([_suggestion(suggestion, accuracy) for suggestion in found])
    return [grid, Text(printable(f"Look at the photos, edit the plan, then: {_command(plan)}"))]


def splits(found: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The classes that fall apart into two, as --json has them; nothing where there are none."""
    if not found:
        return []
    return [
        Text("\nClasses that may be two", "bold"),
        _ranked([_split(split) for split in found]),
        Text(
            "Look at the photos. If they are two kinds, sort them into two folders where the "
            "photos were collected, then: imgcli split"
        ),
    ]


def _ranked(entries: Sequence[Text]) -> Table:
    grid = Table.grid(padding=(0, 2, 1, 0))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for rank, entry in enumerate(entries, start=1):
        grid.add_row(Text(f"{rank}"), entry)
    return grid


def _split(split: Mapping[str, Any]) -> Text:
    parts = [
        f"  {count(n, 'photo')} like {', '.join(paths)}"
        for n, paths in zip(split["parts"], split["examples"], strict=True)
    ]
    lines = "".join(f"\n{printable(line)}" for line in (split["reason"], *parts))
    return Text.assemble((printable(split["class"]), "bold"), lines)


def _suggestion(suggestion: MergeSuggestion, accuracy: float) -> Text:
    evidence = suggestion.evidence
    lines = [
        f"{suggestion.kind} · {count(suggestion.photos, 'photo')}",
        _figures("if merged", accuracy, suggestion.accuracy_after, evidence),
    ]
    if "retrained" in evidence:
        again = evidence["retrained"]
        lines.append(
            f"trained again: accuracy {percent(again['accuracy'])}, macro precision "
            f"{percent(again['macro_precision'])}"
        )
    lost = evidence["bits_lost"]
    lines += [
        suggestion.reason,
        f"A label would say {lost['label']:.2f} bits less, of which the model had told "
        f"{max(lost['told'], 0):.2f}.",
        *_photos(evidence["examples"]),
    ]
    name = " + ".join(printable(name) for name in suggestion.classes)
    return Text.assemble((name, "bold"), *(f"\n{printable(line)}" for line in lines))


def _figures(when: str, before: float, after: float, evidence: Any) -> str:
    beyond = 100 * evidence["gain_beyond_chance"]
    return (
        f"{when}: accuracy {percent(before, '')} → {percent(after)} ({beyond:+.1f} points beyond "
        f"chance), macro precision {percent(evidence['macro_precision'], '')} → "
        f"{percent(evidence['macro_precision_after'])}"
    )


def _photos(examples: Sequence[dict[str, Any]]) -> list[str]:
    """The surest mistakes, those with a near-duplicate on the other side first."""
    ranked = sorted(examples, key=lambda photo: (photo["twin"] is None, -photo["confidence"]))
    return [
        f"  {photo['path']}, called {photo['called']}"
        + (f": nearly {photo['twin']}" if photo["twin"] else "")
        for photo in ranked[:MOST_PHOTOS]
    ]


def _command(plan: Path) -> str:
    from shlex import quote

    return f"imgcli merge --plan {quote(str(plan))}"
