"""What a search came to, drawn and written, from rows made by hand."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from imgcli.report.plots import style, tuning
from imgcli.report.terminal import tuning as tables
from tests.support.figures import title


def row(number: int, state: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": state,
        "value": value,
        "loss": None if value is None else 1 - value,
        "n": 160,
        "last": value,
        "steps": 4,
        "seconds": 2.5,
        "choices": {"lr": 0.01 * (number + 1), "optimizer": "sgd"},
        "reason": None,
        **more,
    }


ROWS = [
    row(0, "finished", 0.8),
    row(1, "pruned", last=0.3, steps=3),
    row(2, "finished", 0.9),
    row(3, "impossible", last=None, steps=0, reason="--momentum means nothing, to adam"),
    row(5, "finished", 0.85),
]


def lines(figure: Figure) -> dict[str, list[list[float]]]:
    return {str(line.get_label()): line.get_xydata().tolist() for line in figure.axes[0].lines}


def test_the_history_shows_each_trial_and_the_best_so_far() -> None:
    drawn = lines(tuning.history(ROWS, "160 validation photos"))
    assert drawn["finished"] == [[0, 0.8], [2, 0.9], [5, 0.85]]
    assert drawn["best so far"] == [[0, 0.8], [2, 0.9], [5, 0.9], [5, 0.9]]
    assert drawn["pruned, at its last"] == [[1, 0.3]]
    assert drawn["could not be trained"] == [[3, 0.0]]


def test_a_history_without_pruned_trials_names_none() -> None:
    drawn = lines(tuning.history([ROWS[0]], "160 validation photos"))
    assert set(drawn) == {"finished", "best so far"}


def test_the_history_says_what_is_best_of_how_many_and_that_it_is_optimistic() -> None:
    words = title(tuning.history(ROWS, "160 validation photos"))
    assert "Search over 5 trials" in words
    assert "Best: trial 2, accuracy 90.0 % on 160 validation photos" in words
    assert "3 finished, 1 pruned, 1 could not be trained" in words and "optimistic" in words


def test_importance_is_written_at_each_bar() -> None:
    figure = tuning.importance({"lr": 0.9, "batch-size": 0.1}, 9)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lr", "batch-size"]
    assert [round(bar.get_width(), 2) for bar in axes.patches] == [0.9, 0.1]
    assert {"90 %", "10 %"} <= {text.get_text() for text in axes.texts}
    assert axes.yaxis_inverted()  # the largest on top
    assert "9 finished trials" in title(figure) and "A rough estimate" in title(figure)
    assert "estimate" not in title(tuning.importance({"lr": 1.0}, 30))


def test_nothing_is_cut_at_the_edge_of_a_figure(tmp_path: Path) -> None:
    names = {"{16..64} at 1 of {16..64}C5-P2-{32..128}-and-a-long-tail": 0.6, "$lr$": 0.4}
    for figure in (tuning.history(ROWS, "160 validation photos"), tuning.importance(names, 9)):
        style.save(figure, tmp_path / "figure.png")
        pixels = np.asarray(Image.open(tmp_path / "figure.png").convert("L"))
        inside = pixels[10:-10, 10:-10]
        assert inside.min() < 100
        assert pixels.sum() - inside.sum() == 255 * (pixels.size - inside.size)


def test_the_table_shows_the_best_five_and_what_they_chose() -> None:
    ranked = [row(n, "finished", 0.9 - n / 100) for n in range(7)]
    console = Console(width=100, file=io.StringIO())
    console.print(tables.best(ranked, {"lr": "lr", "optimizer": "optimizer"}))
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(shown) == 9  # a blank line, the header and its line, five trials, a blank line
    assert shown[3].split(maxsplit=6)[:-1] == ["0", "90.0", "%", "0.100", "2.5", "s"]
    assert shown[3].strip().endswith("lr 0.01, optimizer sgd")


def test_the_csv_holds_every_trial_with_every_choice() -> None:
    rows = [*ROWS, row(6, "pruned", choices={"lr": 1.0, "arch": "8C3,5"})]
    read = list(csv.DictReader(io.StringIO(tables.table_of_all(rows))))
    assert [line["number"] for line in read] == ["0", "1", "2", "3", "5", "6"]
    assert read[3]["reason"] == "'--momentum means nothing, to adam"
    assert (read[5]["arch"], read[5]["optimizer"], read[0]["arch"]) == ("8C3,5", "", "")
    assert read[0]["value"] == "0.8" and read[1]["value"] == ""
