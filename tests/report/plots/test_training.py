"""How the loss fell: read from histories, rolled, banded by the folds, drawn and listed."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imgcli.config import TrainConfig
from imgcli.errors import RunError
from imgcli.records import FloatArray
from imgcli.report.plots import training
from imgcli.report.plots.comparison import (
    COLOURS,
    Losses,
    loss_curves,
    losses,
    losses_csv,
    over_folds,
    rolling,
)
from imgcli.report.plots.comparison import loss_notes as notes
from imgcli.report.plots.training import batch_losses
from tests.support.evaluations import document, told
from tests.support.figures import drawn, title
from tests.support.runs import HISTORY, history, reported_run


def written(folder: Path, values: list[float], name: str = "history.csv") -> Path:
    (folder / name).write_text(history(values))
    return folder / name


@given(arrays(np.float64, st.integers(0, 30), elements=st.floats(0, 100)), st.integers(2, 8))
def test_each_point_is_of_the_last_batches(values: FloatArray, window: int) -> None:
    last = [values[i : i + window] for i in range(len(values) - window + 1)]
    mean, sd = rolling(values, window)
    assert mean == pytest.approx([part.mean() for part in last])
    assert sd == pytest.approx([part.std(ddof=1) for part in last], abs=1e-5)


def test_only_batches_are_read_and_in_their_order(tmp_path: Path) -> None:
    assert batch_losses(written(tmp_path, [3.0, 1.0, 2.0])).tolist() == [3.0, 1.0, 2.0]
    assert batch_losses(tmp_path / "none.csv").tolist() == []


def test_a_head_fitted_to_its_optimum_has_no_batches(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(history([]) + "".join(f"{i},,batch,60,{1 / (i + 1)},,,,\n" for i in range(9)))
    assert losses(path, [], 2) is None


def test_a_run_of_fewer_batches_than_the_window_has_no_curve(tmp_path: Path) -> None:
    path = written(tmp_path, [3.0, 2.0, 1.0])
    assert losses(path, [], 4) is None and losses(path, [], 3) is not None


def test_the_band_is_the_folds_spread_as_far_as_all_have_gone() -> None:
    mean, sd = over_folds([np.array([1.0, 2.0, 9.0]), np.array([3.0, 2.0])])
    assert mean.tolist() == [2.0, 2.0]
    assert sd == pytest.approx([2**0.5, 0.0])
    assert [len(part) for part in over_folds([np.ones(3)])] == [0, 0]


def found(tmp_path: Path, folds: int, falls: float = 1.0) -> Losses:
    values = [falls * (10 - i) for i in range(10)]
    kept = [written(tmp_path, [v + f for v in values], f"h{f}.csv") for f in range(folds)]
    made = losses(written(tmp_path, values), kept, 2)
    assert made is not None
    return made


def test_with_folds_their_mean_is_drawn_in_their_band(tmp_path: Path) -> None:
    figure = drawn(loss_curves({"a": found(tmp_path, 2), "b": found(tmp_path, 0)}))
    for axes in figure.axes:
        assert [len(line.get_xdata()) for line in axes.lines] == [9, 9]  # type: ignore[arg-type]
        assert [line.get_xdata()[0] for line in axes.lines] == [2, 2]  # type: ignore[index]
        assert len(axes.collections) == 1
    banded, own = figure.axes[0].lines
    assert banded.get_ydata()[0] == 10.0 and own.get_ydata()[0] == 9.5  # type: ignore[index]
    assert "band" in title(figure) and "Without a band: the run's own training" in title(figure)
    assert "Of the last 2 batches" in title(figure)


def test_without_folds_there_is_no_word_of_bands(tmp_path: Path) -> None:
    figure = drawn(loss_curves({"a": found(tmp_path, 0), "b": found(tmp_path, 1)}))
    assert "band" not in title(figure)
    assert not any(axes.collections for axes in figure.axes)


def test_every_line_has_a_look_of_its_own(tmp_path: Path) -> None:
    one = found(tmp_path, 0)
    figure = loss_curves({f"run {i}": one for i in range(3 * len(COLOURS))})
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    dashes = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in figure.axes[0].lines}  # type: ignore[attr-defined]
    assert len(looks | dashes) >= 3 * len(COLOURS)


def test_who_is_not_drawn_and_whose_loss_is_another_is_noted() -> None:
    runs = [
        told("a", 0.9, label_smoothing=0.1),
        told("b", 0.8, label_smoothing=0.0),
        told("c", 0.7),
    ]
    comparing = document(runs)
    names = {run["run"]: run["arch"] for run in runs}
    first, second = notes(comparing, names, ["runs/a", "runs/b"])
    assert first == "Not drawn, trained on too few batches: 'c'"
    assert second.startswith("Losses of runs with different label smoothing")
    (only,) = notes(comparing, names, ["runs/a"])
    assert only.endswith("'b' and 'c'")


def test_curves_are_listed_by_run_and_step(tmp_path: Path) -> None:
    text = losses_csv({"runs/a": found(tmp_path, 2), "runs/b": found(tmp_path, 0)})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["step"] for row in rows if row["run"] == "runs/a"] == [str(i) for i in range(2, 11)]
    assert (rows[0]["mean"], rows[0]["folds_mean"]) == ("9.5", "10.0")
    assert float(rows[0]["std"]) == pytest.approx(2**-0.5)
    assert rows[-1]["folds_mean"] == rows[-1]["folds_sd"] == ""
    assert losses_csv({}) == "run,step,mean,std,folds_mean,folds_sd\n"


def test_a_history_is_read_as_figures_take_it(tmp_path: Path) -> None:
    made = reported_run(tmp_path, epochs=2)
    text = HISTORY + "1,0,batch,64,2.5,,,,0.1\n1,,val,9,inf,0.5,,,\n"
    (made.folder / "history.csv").write_text(text)
    assert training.rows(made) == [
        {"epoch": 1, "part": "batch", "n": 64, "loss": 2.5, "accuracy": None},
        {"epoch": 1, "part": "val", "n": 9, "loss": float("inf"), "accuracy": 0.5},
    ]


def test_a_run_without_a_history_has_no_rows_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    made = reported_run(tmp_path)
    (made.folder / "history.csv").write_text(HISTORY + "one,,val,9,1,1,,,\n")
    with pytest.raises(RunError, match=r"history.csv' cannot be read .*invalid literal"):
        training.rows(made)
    (made.folder / "history.csv").unlink()
    assert training.rows(made) == []


def test_a_head_that_is_fitted_takes_iterations() -> None:
    assert training.unit(TrainConfig.of(arch="a", optimizer="lbfgs")) == "iteration"
    assert training.unit(TrainConfig.of(arch="a", optimizer="adamw")) == "epoch"
