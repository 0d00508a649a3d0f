"""`imgcli suggest-merges` as it is typed, on a run that is there already."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imgcli import progress
from tests.cli.shell import imgcli
from tests.judge import run_folders
from tests.judge.planted import with_twins


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    run = run_folders.run(tmp_path / "runs")
    judged = with_twins(np.random.default_rng(0), k=6, twins=1, n=40)
    fold = np.arange(len(judged)) % 5
    run.save_predictions("predictions-folds.npz", type(judged)(**{**vars(judged), "fold": fold}))
    yield
    progress.be_quiet(False)


def test_the_plan_in_the_run_is_what_merge_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli(monkeypatch, "suggest-merges", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {"run", "accuracy", "suggestions"}
    (suggestion,) = document["suggestions"]
    assert set(suggestion) == {
        *("classes", "kind", "score", "evidence", "accuracy_after", "photos", "reason")
    }
    assert document["merges"] == [{"classes": ["c00", "c01"], "name": "c00+c01"}]
    stored = json.loads(Path("runs/latest/merges.json").read_text())
    assert stored["merges"] == document["merges"] and stored["data"] == "dataset"
    assert imgcli(monkeypatch, "suggest-merges") == 0
    assert "imgcli merge --plan" in capsys.readouterr().out


def test_training_again_is_refused_where_it_would_take_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli(monkeypatch, "suggest-merges", "--retrain") == 1
    assert "5 folds for each of 1 merge would take about 10 s" in capsys.readouterr().err
    assert imgcli(monkeypatch, "suggest-merges", "--data", "x") == 2
    assert "--data x goes with --retrain" in capsys.readouterr().err
