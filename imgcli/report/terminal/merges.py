"""Merge suggestions for the terminal: classes, effect, reason, and photos to look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.records import MergeSuggestion
from imgcli.text import count, percent, printable

MAX_PAIRS = 5  # confused and no merge; --json has all of them
HARD = (
    "Merge such classes only if they mean the same to you: more photos of both, or another network "
    "(imgcli choose), tell them apart better."
)
FEW = (
    "They may be one class or two. Collect more photos of both; if they mean the same to you, "
    "merge them."
)
MAX_PHOTOS = 4  # named per suggestion; --json has all of them
NONE = "No merges suggested: the model shows no two classes to be one."


def suggestions(
    found: Sequence[MergeSuggestion], accuracy: float, plan: Path, too_few: str | None = None
) -> list[RenderableType]:
    """The suggestions, best first, and the command that carries them out.

    Args:
        accuracy: before any merge.
        plan: the file that `imgcli merge --plan` takes.
        too_few: the sentence that photos are too few to suggest any.
    """
    if not found:
        return [Text(too_few or NONE)]
    grid = _ranked([_suggestion(suggestion, accuracy) for suggestion in found])
    then = f"Look at the photos, edit the plan, then: {_command(plan)}"
    return [grid, Text(printable(then), no_wrap=True)]


def confused(found: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The confused classes that are not suggested; nothing where there are none."""
    return _pairs(found, "Most confused classes that are no merge", HARD)


def undecided(found: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The classes of too few photos to tell; nothing where there are none."""
    return _pairs(found, "Classes of too few photos to tell apart", FEW)


def _pairs(found: Sequence[Mapping[str, Any]], title: str, advice: str) -> list[RenderableType]:
    if not found:
        return []
    names = (" + ".join(map(printable, pair["classes"])) for pair in found[:MAX_PAIRS])
    entries = [
        Text.assemble((name, "bold"), f"\n{printable(pair['reason'])}")
        for name, pair in zip(names, found, strict=False)
    ]
    more = f" The worst {MAX_PAIRS} of {len(found):,}." if len(found) > MAX_PAIRS else ""
    return [Text(f"\n{title}", "bold"), _ranked(entries), Text(f"{advice}{more}")]


def splits(found: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The classes that may be two, as --json has them; nothing where there are none."""
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
        f"if merged: accuracy {percent(accuracy, '')} → {percent(suggestion.accuracy_after)}, "
        f"macro precision {percent(evidence['macro_precision'], '')} → "
        f"{percent(evidence['macro_precision_after'])}",
    ]
    if "retrained" in evidence:
        retrained = evidence["retrained"]
        lines.append(
            f"retrained: accuracy {percent(retrained['accuracy'])}, macro precision "
            f"{percent(retrained['macro_precision'])}"
        )
    lines += [suggestion.reason, *_photos(evidence["examples"])]
    name = " + ".join(printable(name) for name in suggestion.classes)
    return Text.assemble((name, "bold"), *(f"\n{printable(line)}" for line in lines))


def _photos(examples: Sequence[dict[str, Any]]) -> list[str]:
    """The most confident errors, those with a near-duplicate in the predicted class first."""
    ranked = sorted(examples, key=lambda photo: (photo["twin"] is None, -photo["confidence"]))
    return [
        f"  {photo['path']}, predicted as {photo['called']}"
        + (f"; near-duplicate: {photo['twin']}" if photo["twin"] else "")
        for photo in ranked[:MAX_PHOTOS]
    ]


def _command(plan: Path) -> str:
    from shlex import quote

    return f"imgcli merge --plan {quote(str(plan))}"
