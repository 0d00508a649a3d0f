from pathlib import Path

import pytest

from imgcli.config import TrainConfig
from imgcli.errors import RunError
from imgcli.report.plots import history as history
from tests.report.report_runs import HISTORY, run


def test_a_history_is_read_as_figures_take_it(tmp_path: Path) -> None:
    made = run(tmp_path, epochs=2)
    text = HISTORY + "1,0,batch,64,2.5,,,,0.1\n1,,val,9,inf,0.5,,,\n"
    (made.folder / "history.csv").write_text(text)
    assert history.rows(made) == [
        {"epoch": 1, "part": "batch", "n": 64, "loss": 2.5, "accuracy": None},
        {"epoch": 1, "part": "val", "n": 9, "loss": float("inf"), "accuracy": 0.5},
    ]


def test_a_run_without_a_history_has_no_rows_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    made = run(tmp_path)
    (made.folder / "history.csv").write_text(HISTORY + "one,,val,9,1,1,,,\n")
    with pytest.raises(RunError, match=r"history.csv' cannot be read .*invalid literal"):
        history.rows(made)
    (made.folder / "history.csv").unlink()
    assert history.rows(made) == []


def test_a_head_that_is_fitted_takes_iterations() -> None:
    assert history.unit(TrainConfig.of(arch="a", optimizer="lbfgs")) == "iteration"
    assert history.unit(TrainConfig.of(arch="a", optimizer="adamw")) == "epoch"
