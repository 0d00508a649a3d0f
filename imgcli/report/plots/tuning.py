"""A hyper-parameter search: its history, and the importance of the choices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imgcli.report.plots import style
from imgcli.report.plots.style import canvas, in_percent, styled, titled
from imgcli.report.terminal.tuning import STATES, tally
from imgcli.text import count, percent

Rows = Sequence[Mapping[str, Any]]

FEW = 30  # finished trials, below which importance is a guess


@styled
def history(rows: Rows, evaluated_on: str) -> Figure:
    """Each trial's accuracy in the order of the search, and the best so far.

    Args:
        rows: `{"number": int, "state": "finished" | "pruned" | "impossible", "value": accuracy,
            "last": accuracy when it was pruned}`, at least one finished.
        evaluated_on: which photos the accuracy is of, such as "160 validation photos".
    """
    figure, axes = canvas(7.8, 3.6)
    by_state = {
        state: [row for row in rows if row["state"] == state] for state in ("finished", *STATES)
    }
    numbers = [row["number"] for row in by_state["finished"]]
    values = np.array([row["value"] for row in by_state["finished"]])
    last = max(row["number"] for row in rows)
    axes.step(
        [*numbers, last],
        [*np.maximum.accumulate(values), values.max()],
        where="post",
        color=style.TRAIN,
        linewidth=1.6,
        label="best so far",
    )
    axes.plot(numbers, values, "o", color=style.HELD_OUT, markersize=5, label="finished")
    cut = [(row["number"], row["last"]) for row in by_state["pruned"] if row["last"] is not None]
    if cut:
        axes.plot(*zip(*cut, strict=True), "x", color=style.FAINT, label="pruned, at its last")
    if never := [row["number"] for row in by_state["impossible"]]:
        axes.plot(
            never,
            np.zeros(len(never)),
            "|",
            color=style.INK,
            markersize=9,
            transform=axes.get_xaxis_transform(),
            label=STATES["impossible"],
            clip_on=False,
        )
    axes.set(xlabel="trial", ylabel="accuracy", xlim=(-0.7, last + 0.7))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    in_percent(axes.yaxis)
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    first = by_state["finished"][int(values.argmax())]
    titled(
        figure,
        f"Search over {count(len(rows), 'trial')}",
        f"Best: trial {first['number']}, accuracy {percent(first['value'])} on {evaluated_on}",
        f"{tally(rows)}. The best of many trials is optimistic: evaluate it on other photos",
    )
    return figure


@styled
def importance(shares: Mapping[str, float], finished: int) -> Figure:
    """The share of the variance between trials that each choice explains, largest on top."""
    names = style.labels(list(shares))
    figure, axes = canvas(6.2, 0.28 * len(names) + 0.1)
    rows = np.arange(len(names))
    axes.barh(rows, list(shares.values()), height=0.6, color=style.HELD_OUT)
    axes.set_yticks(rows, labels=names)
    axes.tick_params(axis="y", length=0)
    for row, share in zip(rows, shares.values(), strict=True):
        axes.annotate(
            percent(share, digits=0), (share, row), (4, 0), textcoords="offset points", va="center"
        )
    axes.set(xlim=(0, 1.0), ylim=(len(names) - 0.5, -0.5), xlabel="share of the variance")
    in_percent(axes.xaxis)
    axes.grid(axis="x")
    titled(
        figure,
        "Importance of the choices",
        f"Share of the variance of accuracy between {count(finished, 'finished trial')} that each "
        "choice explains (functional ANOVA); all together 100 %",
        *(["A rough estimate: few trials"] if finished < FEW else []),
    )
    return figure
