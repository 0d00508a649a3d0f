"""What a training came to, for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.records import Rejected
from imgcli.text import count, duration, percent, printable, times

MOST_LISTED = 10  # photos that could not be read
PARTS = {"train": "train, learnt from", "val": "validation", "test": "test, tracked"}


def trained(
    document: Mapping[str, Any], history: Path, following: Sequence[str], unit: str = "epoch"
) -> list[RenderableType]:
    """A finished training: its figures, where it is, and what to type next.

    Args:
        document: of the JSON contract of `train`.
        history: the drawing of it, or the table where there is no curve to draw.
        following: the commands to type next.
        unit: what the training went by: "epoch" or "iteration".
    """
    params = document["params"]
    table = Table("part", box=None, pad_edge=False, header_style="bold")
    for title in ("photos", "loss", "accuracy", "macro precision", "macro F1"):
        table.add_column(title, justify="right")
    for part, name in PARTS.items():
        if measured := document[part]:
            table.add_row(
                name,
                f"{measured['n']:,}",
                f"{measured['loss']:.3f}",
                *(percent(measured[key]) for key in ("accuracy", "macro_precision", "macro_f1")),
            )
    choices = dict(document["chosen"])
    guessed = choices.pop("pseudo_labels", None)
    choices.pop("factor", None)  # the temperature says it
    chosen = ", ".join(f"{key.replace('_', ' ')} {v:.3g}" for key, v in choices.items())
    passes = count(document["epochs"], unit)
    lines = [
        "",
        f"{printable(document['arch'])}: {params['trainable']:,} of {params['total']:,} parameters "
        f"learnt in {passes}, {document['seconds']:.0f} s",
        *([f"Chosen by validation: {chosen}"] if chosen else []),
        *(
            [f"Learnt from {count(guessed, 'guessed label')} as well"]
            if guessed is not None
            else []
        ),
        *_flattering(document.get("val_learnt_by")),
        f"Input:   {document['input']}",
        f"Run:     {printable(document['run'])}",
        f"History: {printable(str(history))}",
        "Next:    " + "\n         ".join(following),
    ]
    return [table, Text("\n".join(lines))]


def _flattering(run: str | None) -> Iterator[str]:
    """The line that says so where validation is not out of sample."""
    if run:
        yield (
            f"Validation flatters: '{printable(run)}', whose weights it began with, may have "
            "learnt from these photos. Judge by the test part: imgcli evaluate"
        )


STAGES = {
    "decode": "decoding",
    "look": "looking, learning nothing",
    "learn": "learning",
    "judge": "judging",
    "heads": "heads of ten folds",
}


def speeds(document: Mapping[str, Any]) -> list[RenderableType]:
    """What a machine gives, stage by stage, and how long a job will take on it.

    Args:
        document: of the JSON contract of `bench`.
    """
    chosen = document["precision"]
    table = Table("photos per second", box=None, pad_edge=False, header_style="bold")
    for title in ("fp32", "bf16"):
        table.add_column(title, justify="right")
    for key in ("decode", "look", "learn", "heads"):
        speed = document[key]
        if isinstance(speed, Mapping) and speed:
            cells = [Text(f"{speed[p]:,.0f}", "bold" if p == chosen else "") for p in speed]
            table.add_row(STAGES[key], *cells)
        elif speed:
            table.add_row(STAGES[key], f"{speed:,.0f}", "")
    seconds = dict(document["seconds"])
    total = seconds.pop("total")
    parts = ", ".join(f"{STAGES[key].split(',')[0]} {duration(s)}" for key, s in seconds.items())
    by = document["learn"] or document["look"]
    others = [f", {times(by[chosen] / by[p])} as fast as {p}" for p in by if p != chosen]
    device = "the CPU" if document["device"] == "cpu" else document["device"]
    lines = [
        "",
        f"On {device}, {count(document['cores'], 'core')}; {printable(document['arch'])} at "
        f"{document['size']} pixels. {chosen} is used{''.join(others)}.",
        f"{count(document['folds'], 'fold')} on these {count(document['photos'], 'photo')} will "
        f"take about {duration(total)}: {parts}.",
        "What is decoded and looked at is kept, and costs nothing the next time.",
    ]
    return [table, Text("\n".join(lines))]


def leaking(groups: int) -> Iterator[str]:
    """The line that says so where the test part is not out of sample."""
    if groups:
        yield (
            f"{count(groups, 'group')} of duplicates in the test part and outside it: figures on "
            "the test part flatter. Split the photos with `imgcli split`."
        )


def unreadable(rejected: Sequence[Rejected]) -> Iterator[str]:
    """Lines that list the photos that were not used."""
    if rejected:
        yield f"{count(len(rejected), 'photo')} could not be used:"
    for photo in rejected[:MOST_LISTED]:
        yield f"  {printable(photo.path)}: {printable(photo.reason)}"
    if len(rejected) > MOST_LISTED:
        yield f"  and {len(rejected) - MOST_LISTED:,} more"
