"""Calibration of the probabilities: a figure, and lines for the terminal.

`document` is that of the JSON contract of `evaluate` throughout.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from imgcli.records import Evaluation
from imgcli.report.plots import style
from imgcli.report.plots.style import canvas, in_percent, styled, titled
from imgcli.report.terminal.evaluation import measured_on
from imgcli.text import count, interval, percent, printable

Document = Mapping[str, Any]


@styled
def reliability(evaluation: Evaluation, bins: Sequence[Mapping[str, Any]]) -> Figure:
    """The reliability diagram: accuracy by confidence, and the number of photos.

    Args:
        bins: of `evaluation.calibration.reliability`.
    """
    figure, axes = canvas(4.2, 4.2)
    axes.plot([0, 1], [0, 1], color=style.FAINT, linestyle=":", linewidth=1.2)
    confidence = [row["confidence"] for row in bins]
    lows, highs = zip(*(row["ci95"] for row in bins), strict=True)
    axes.vlines(confidence, lows, highs, color=style.HELD_OUT, linewidth=4, alpha=0.4)
    axes.plot(
        confidence, [row["right"] for row in bins], "o", color=style.HELD_OUT, ms=5, clip_on=False
    )
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01), ylabel="accuracy")
    axes.tick_params(axis="x", labelbottom=False)
    axes.grid()
    below = figure.add_axes((0.0, -0.24, 1.0, 0.18))
    widths = [row["to"] - row["from"] for row in bins]
    starts, photos = [row["from"] for row in bins], [row["n"] for row in bins]
    below.bar(starts, photos, widths, align="edge", color=style.HELD_OUT, ec="white", lw=0.6)
    below.set(xlim=(0, 1.01), xlabel="confidence: probability of the predicted class")
    below.set_ylabel("photos", labelpad=8)
    below.yaxis.set_major_formatter("{x:,.0f}")
    for axis in (axes.xaxis, axes.yaxis, below.xaxis):
        in_percent(axis)
    titled(
        figure,
        "Reliability diagram",
        f"Expected calibration error {percent(evaluation.ece)}",
        f"{count(evaluation.n, 'photo')}, {measured_on(evaluation)}",
        "Dot: the photos of one bin of confidence; bar: 95 % interval",
        "Dotted: perfect calibration; below it the network is overconfident",
    )
    return figure


def scores_line(document: Document) -> str:
    """Further figures in one line."""
    found = [f"macro recall (balanced accuracy) {_share(document['macro_recall'])}"]
    if document["top5"]:
        found.append(f"top-5 accuracy {_share(document['top5'])}")
    found.append(f"log loss {document['log_loss']['value']:.3f}")
    found.append(f"Brier score {document['brier']['value']:.3f}")
    return f"Also: {', '.join(found)}."


def _share(summary: Mapping[str, Any]) -> str:
    return f"{percent(summary['value'])} ({interval(summary['ci95'])})"


def calibration_line(document: Document) -> str | None:
    """The expected calibration error, before and after temperature scaling."""
    found = document.get("calibration")
    if not found:
        return f"Expected calibration error (ECE) {percent(document['ece'])}."
    return (
        f"Expected calibration error (ECE) {percent(found['ece_before'])}; "
        f"{percent(found['ece'])} with temperature {1 / found['factor']:.2f}, which `predict` "
        f"{'will use' if found['folds'] else 'uses'}."
    )


def repeats_line(document: Document) -> str | None:
    """The range of accuracy over the repeats of the folds."""
    each = document["per_repeat"]["accuracy"]
    if len(each) < 2:
        return None
    return (
        f"{document['repeats']} repeats of the folds: accuracy {percent(min(each), '')} to "
        f"{percent(max(each))}. Figures are pooled over them; photos are counted in the first."
    )


def promise_lines(promise: Document, answered: int, n: int) -> list[str]:
    """The coverage of a selective prediction, and the precision that it was chosen for.

    Args:
        promise: of the JSON contract of `predict --min-precision`.
        answered: of the `n` photos at hand.
    """
    weak = [f"{printable(name)} ({percent(p, digits=0)})" for name, p in promise["weak"].items()]
    return [
        f"Answered {answered:,} of {count(n, 'photo')}, those with a confidence of at least "
        f"{percent(promise['threshold'])}; the rest is unsure.",
        f"Out-of-fold: precision {percent(promise['precision'])} "
        f"({interval(promise['precision_ci95'])}) at coverage {percent(promise['share'])} "
        f"({promise['answered']:,} of {count(promise['n'], 'photo')}). For photos like those, "
        f"precision is at least {percent(promise['min_precision'])} with 95 % confidence.",
        *([f"Classes of lower precision: {', '.join(weak)}."] if weak else []),
    ]
