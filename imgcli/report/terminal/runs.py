"""Trainings, learning curves and measured speed, for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from imgcli.records import Rejected
from imgcli.report.terminal.tables import number, table, text
from imgcli.text import count, duration, interval, percent, printable, time_range, times

MAX_LISTED = 10  # photos that could not be read
MAX_CLASSES = 10  # of a learning curve, those that gain most
FEW = 10  # photos of a class, of fewer of which nothing is expected
PARTS = {"train": "training", "val": "validation", "test": "test, tracked"}


def trained(
    document: Mapping[str, Any], history: Path, following: Sequence[str], unit: str = "epoch"
) -> list[RenderableType]:
    """A finished training: its figures, its folder, and the next commands.

    Args:
        document: of the JSON contract of `train`.
        history: the drawing of it, or the table where there is no curve to draw.
        following: the commands to type next.
        unit: of the training's length: "epoch" or "iteration".
    """
    params = document["params"]
    titles = ("photos", "loss", "accuracy", "macro\nprecision", "macro F1")
    shown = table(text("part"), *map(number, titles), gap=2)
    for part, name in PARTS.items():
        if measured := document[part]:
            # Where the training photos themselves validate, folds held them out in turn.
            by_folds = part == "val" and measured["n"] == document["train"]["n"]
            shown.add_row(
                f"{name} (cross-validated)" if by_folds else name,
                f"{measured['n']:,}",
                f"{measured['loss']:.3f}",
                *(percent(measured[key]) for key in ("accuracy", "macro_precision", "macro_f1")),
            )
    choices = dict(document["chosen"])
    pseudo = choices.pop("pseudo_labels", None)
    choices.pop("factor", None)  # the temperature says it
    chosen = ", ".join(f"{key.replace('_', ' ')} {v:.3g}" for key, v in choices.items())
    passes = count(document["epochs"], unit)
    lines = [
        "",
        f"{printable(document['arch'])}: {params['trainable']:,} of {params['total']:,} parameters "
        f"trained, {passes}, {document['seconds']:.0f} s",
        *([f"Chosen by validation: {chosen}"] if chosen else []),
        *([f"Pseudo-labels used: {pseudo:,}"] if pseudo is not None else []),
        *_optimistic(document.get("val_learnt_by")),
        f"Input:   {document['input']}",
        f"Run:     {printable(document['run'])}",
        f"History: {printable(str(history))}",
    ]
    next_ = Text("Next:    " + "\n         ".join(following), no_wrap=True)
    return [shown, Text("\n".join(lines)), next_]


def _optimistic(run: str | None) -> Iterator[str]:
    """A warning where validation is not out of sample."""
    if run:
        yield (
            f"Validation is optimistic: the initial weights come from '{printable(run)}', which "
            "may have been trained on these photos. Use the test part: imgcli evaluate"
        )


STAGES = {
    "decode": "decoding",
    "look": "feature extraction",
    "learn": "training",
    "judge": "evaluation",
    "heads": "heads of ten folds",
}


def speeds(document: Mapping[str, Any]) -> list[RenderableType]:
    """Photos per second of each stage, and the expected time of a job.

    Args:
        document: of the JSON contract of `bench`.
    """
    chosen, learns = document["precision"], bool(document["learn"])
    stages = STAGES | ({"look": "evaluation"} if learns else {})
    titles = ("photos\nper second", "lowest–\nhighest", "n", "of the\npeak")
    shown = table(text("stage"), *map(number, titles), gap=2)
    for name, rate in document["rates"].items():
        stage, _, precision = name.partition("_")
        title = document["peer"] if stage == "peer" else stages[stage]
        share = document["share_of_peak"][precision] if stage == "look" else None
        shown.add_row(
            title + (f", {precision}" if precision else ""),
            _rate(rate["median"]),
            f"{_rate(rate['low'])}–{_rate(rate['high'])}",
            str(rate["n"]),
            percent(share, digits=0) if share else "",
            style="bold" if precision == chosen else "",
        )
    return [shown, Text("\n".join(["", *_conditions(document), *_estimate(document)]))]


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _conditions(document: Mapping[str, Any]) -> Iterator[str]:
    """What computes here, how near it comes to what the machine can do, and what disturbs it."""
    chosen, by = document["precision"], document["learn"] or document["look"]
    others = [f", {times(by[chosen] / by[p])} as fast as {p}" for p in by if p != chosen]
    by_graph = ", by oneDNN's graphs" if document["engine"] == "onednn-graph" else ""
    device = "the CPU" if document["device"] == "cpu" else document["device"]
    yield (
        f"On {device}, {count(document['cores'], 'core')}; {printable(document['arch'])} at "
        f"{document['size']} pixels, {document['gflops_per_photo']:.3g} GFLOP a photo. {chosen} is "
        f"used{by_graph}{''.join(others)}."
    )
    peaks = ", ".join(f"{rate:,.0f} GFLOP/s in {p}" for p, rate in document["peak_gflops"].items())
    yield f"Peak of matrix products and convolutions: {peaks}."
    yield f"Computed by {document['library']}; decoded by {document['decoder']}."
    load = document["load"]
    if load["busy"]:
        yield (
            f"Other programs took {percent(load['others'], digits=0)} of the cores meanwhile: this "
            "machine can do more than these figures say. Repeat it when they are done."
        )


def _estimate(document: Mapping[str, Any]) -> Iterator[str]:
    seconds = {key: value for key, value in document["seconds"].items() if key != "total"}
    parts = ", ".join(f"{STAGES[key]} {duration(value)}" for key, value in seconds.items())
    yield (
        f"{count(document['folds'], 'fold')} on these {count(document['photos'], 'photo')} will "
        f"take about {time_range(*document['expected'])}: {parts}, and the command itself."
    )
    yield "Decoded photos and features are cached for later commands."


def learning_curve(document: Mapping[str, Any]) -> list[RenderableType]:
    """The points of the curve, and the classes that would gain most.

    Args:
        document: of the JSON contract of `learning-curve`.
    """
    titles = ("training photos", "accuracy in %", "95 % interval")
    points = table(*map(number, titles), gap=2)
    for point in document["points"]:
        points.add_row(
            f"{point['photos']:,.0f}", percent(point["accuracy"], ""), interval(point["ci95"], "")
        )
    expected = document["expected"]
    points.add_row(
        f"{document['times'] * document['points'][-1]['photos']:,.0f}, expected",
        percent(expected["accuracy"], ""),
        interval(expected["ci95"], ""),
    )
    heads = ("n", "recall\nin %", "expected\nin %", "gain in\npoints", "95 %\ninterval")
    classes = table(text("class"), *map(number, heads))
    for row in document["per_class"][:MAX_CLASSES]:
        few = row["n"] < FEW
        low, high = (f"{100 * end:+.1f}" for end in row["gain_ci95"])
        classes.add_row(
            Text(printable(row["class"])),
            f"{row['n']:,}",
            percent(row["recall"][-1], ""),
            "–" if few else percent(row["accuracy"], ""),
            "–" if few else f"{100 * row['gain']:+.1f}",
            "too few photos" if few else f"{low} to {high}",
        )
    left_out = len(document["per_class"]) - MAX_CLASSES
    title = "Expected recall of each class with twice the photos"
    more = (
        [Text(f"{left_out:,} classes that gain less: --json lists them all.")]
        if left_out > 0
        else []
    )
    return [points, Text(title), classes, *more]


def leaking(groups: int, *, grouped: bool = False) -> Iterator[str]:
    """A warning where photos of the test part, or of their groups, are outside it as well.

    Args:
        grouped: whether groups are more than duplicates.
    """
    if groups and grouped:
        yield (
            f"{count(groups, 'group')} with photos in the test part and outside it, by --group-by "
            "or as duplicates: figures of the test part are optimistic. Split the photos with "
            "`imgcli split --group-by`."
        )
    elif groups:
        yield (
            f"{count(groups, 'group')} of duplicates in the test part and outside it: figures of "
            "the test part are optimistic. Split the photos with `imgcli split`."
        )


def unreadable(rejected: Sequence[Rejected]) -> Iterator[str]:
    """The photos that were not used, a line each."""
    if rejected:
        yield f"{count(len(rejected), 'photo')} could not be used:"
    for photo in rejected[:MAX_LISTED]:
        yield f"  {printable(photo.path)}: {printable(photo.reason)}"
    if len(rejected) > MAX_LISTED:
        yield f"  and {len(rejected) - MAX_LISTED:,} more"
