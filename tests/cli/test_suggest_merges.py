"""`imgcli suggest-merges` as it is typed, on a run that is there already."""

import json
from pathlib import Path

import pytest

from imgcli.run_lookup import find_run
from imgcli.runs import Run
from imgcli.training.scoring import score_folds
from tests.support import runs
from tests.support.photos import write_dataset
from tests.support.shell import Shell, imgcli
from tests.support.trained_runs import FROZEN, trained

pytestmark = pytest.mark.usefixtures("run_with_twins")


def test_the_plan_in_the_run_is_what_merge_takes(
    capsys: pytest.CaptureFixture[str], shell: Shell
) -> None:
    document = shell.json("suggest-merges")
    assert set(document) >= {"run", "accuracy", "suggestions"}
    (suggestion,) = document["suggestions"]
    assert set(suggestion) == {
        *("classes", "kind", "score", "evidence", "accuracy_after", "photos", "reason")
    }
    assert document["confused"] == []
    assert document["merges"] == [{"classes": ["c00", "c01"], "name": "c00+c01"}]
    stored = json.loads(Path("runs/latest/merges.json").read_text())
    assert stored["merges"] == document["merges"] and stored["data"] == "dataset"
    assert document["splits"] is None  # the backbone has learnt
    assert imgcli("suggest-merges") == 0
    assert "imgcli merge --plan" in capsys.readouterr().out


def test_training_again_is_refused_where_it_would_take_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert imgcli("suggest-merges", "--retrain") == 1
    assert "5 folds for each of 1 merge would take about 10 s" in capsys.readouterr().err
    assert imgcli("suggest-merges", "--data", "x") == 2
    assert "--data x goes with a run on a frozen backbone" in capsys.readouterr().err


@pytest.fixture
def two_kinds(tmp_path: Path) -> Run:
    """A frozen run with folds, and a class of some blue photos and some red ones."""
    write_dataset(tmp_path / "dataset", train=40, test=2)
    (tmp_path / "dataset/train/mixed").mkdir()
    for colour in ("blue", "red"):
        for photo in sorted((tmp_path / "dataset/train" / colour).iterdir())[:15]:
            photo.rename(tmp_path / "dataset/train/mixed" / f"{colour}-{photo.name}")
    run = trained(FROZEN)
    score_folds(run, None, "train", 3)
    return run


def test_a_class_of_two_kinds_is_told_by_the_features_while_there_are_photos(
    two_kinds: Run, capsys: pytest.CaptureFixture[str], shell: Shell
) -> None:
    (split,) = shell.json("suggest-merges")["splits"]
    assert split["class"] == "mixed" and split["parts"] == [15, 15]
    for part in split["examples"]:
        assert len({path.split("/")[-1].split("-")[0] for path in part}) == 1
    assert imgcli("suggest-merges") == 0
    assert "Classes that may be two" in capsys.readouterr().out
    Path("dataset").rename("elsewhere")
    assert imgcli("suggest-merges", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["splits"] is None
    assert "Classes were not examined for two kinds of photos. " in said.err
    assert imgcli("suggest-merges", "--json", "--data", "elsewhere") == 0
    assert len(json.loads(capsys.readouterr().out)["splits"]) == 1
    assert imgcli("suggest-merges", "--data", "nowhere") == 1
    assert "nowhere" in capsys.readouterr().err


def test_one_photo_is_too_few_to_tell(capsys: pytest.CaptureFixture[str], shell: Shell) -> None:
    made = find_run()
    one = runs.judged(1, k=1, n=1)
    made.save_predictions("predictions-folds.npz", one)
    assert imgcli("suggest-merges") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("1 photo is too few to tell which classes are confused by more than")
    assert "chance explains" not in out
    assert shell.json("suggest-merges")["too_few"] == out


def test_photos_of_another_dataset_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(Path("dataset"), train=2, test=1)
    assert imgcli("suggest-merges") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("'dataset' lacks 280 of 280 photos that the run 'runs/")
