"""`imgcli check --labels`, and the plan that `--fix` carries out, as they are typed."""

from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.check_labels import known_issues
from imgcli.records import Predictions
from imgcli.runs import Run
from tests.support.plans import accept_all
from tests.support.runs import WRONG, labelled_predictions, run_with_a_wrong_label
from tests.support.shell import Shell, imgcli
from tests.support.trees import files_of

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run(here: Path) -> Run:
    """A run evaluated with folds, on photos one of which has a wrong label."""
    return run_with_a_wrong_label(here)


def test_a_wrong_label_is_found_corrected_and_put_back(
    run: Run, capsys: Capture, shell: Shell
) -> None:
    before = files_of(Path("raw"))
    found = shell.json("check", "--labels")
    (issue,) = found["labels"]
    assert (issue["path"], issue["suggestion"]) == (f"train/{WRONG}", "red")
    assert found["plan"] == "relabel.csv" and "duplicates" not in found
    assert 'alt="train/blue/12.png"' in Path(found["sheet"]).read_text("utf-8")
    assert files_of(Path("raw")) == before
    assert imgcli("check", "--fix", "relabel.csv") == 0
    assert "Nothing was moved. Write yes in its column accept" in capsys.readouterr().out
    accept_all(Path("relabel.csv"))
    assert imgcli("check", "--fix", "relabel.csv") == 0
    out = capsys.readouterr().out
    assert "Relabelled 1 photo:\n  blue/12.png → red/12.png" in out
    assert "Undo: imgcli restore raw\nNext: imgcli split raw --update, then imgcli train" in out
    assert not Path("raw", WRONG).exists()
    assert imgcli("split", "raw", "--update", "-q") == 0
    assert imgcli("check", "--labels") == 1
    assert "Evaluate it again: imgcli evaluate --folds 10" in capsys.readouterr().err
    assert imgcli("restore") == 0
    assert files_of(Path("raw")) == before


def test_for_people_it_names_the_plan_and_what_to_type(run: Run, capsys: Capture) -> None:
    assert imgcli("check", "--labels", "--plan", "my plan.csv") == 0
    out = capsys.readouterr().out
    assert "train/blue/12.png" in out and "Next: imgcli check --fix 'my plan.csv'" in out
    assert "exact duplicates" not in out and "photos of 3 classes" not in out
    accept_all(Path("my plan.csv"))
    assert imgcli("check", "--fix", "my plan.csv", "--dry-run") == 0
    assert "Would relabel 1 photo:" in capsys.readouterr().out
    assert Path("raw", WRONG).exists()


def test_with_a_folder_that_is_checked_too(run: Run, capsys: Capture) -> None:
    assert imgcli("check", "raw", "--labels") == 0
    out = capsys.readouterr().out
    assert "36 photos of 3 classes" in out and "train/blue/12.png" in out
    assert not Path(".imgcli/check/labels.html").exists()
    page = Path(".imgcli/check/contact.html").read_text("utf-8")
    assert 'alt="../dataset/train/blue/12.png"' in page and "<img " in page
    assert page.count("blue → red, ") == 1


def test_the_report_shows_the_list_that_was_found_until_the_run_is_judged_again(run: Run) -> None:
    predictions = run.load_predictions("predictions-folds.npz")
    assert [issue["path"] for issue in known_issues(run, predictions).issues] == [f"train/{WRONG}"]
    assert imgcli("check", "--labels") == 0
    kept = run.read_json("labels.json")
    shown = [{**issue, "path": "kept"} for issue in kept["labels"]]
    run.write_json("labels.json", {**kept, "labels": shown})
    assert known_issues(run, predictions).issues == shown
    run.save_predictions("predictions-folds.npz", labelled_predictions(Path("dataset"), seed=1))
    assert [issue["path"] for issue in known_issues(run, predictions).issues] == [f"train/{WRONG}"]


def test_right_labels_make_no_plan(run: Run, capsys: Capture) -> None:
    said = labelled_predictions(Path("dataset"))
    sure = np.eye(3)[said.targets] * 0.9 + 0.1 / 3
    run.save_predictions("predictions-folds.npz", Predictions(**{**vars(said), "probs": sure}))
    assert imgcli("check", "--labels") == 0
    assert "No labels to review" in capsys.readouterr().out
    assert not Path("relabel.csv").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--fix", "gone.csv"], 1, "The plan 'gone.csv' cannot be read (No such file"),
        (["--fix", "labels"], 2, "and plans that `imgcli check --labels` wrote"),
        (["--fix", "gone.csv", "--fix", "dark"], 2, "give nothing else to fix or do"),
        (["--labels", "--fix", "gone.csv"], 2, "give nothing else to fix or do"),
        (["--plan", "p.csv"], 2, "--run, --data and --plan go with --labels"),
        (["--labels", "--data", "nowhere"], 1, "is not in 'nowhere' any more"),
        (["--labels", "--run", "nowhere"], 1, "No run 'nowhere'"),
        (["dataset", "--fix", "mine.csv"], 1, "'dataset' was made by imgcli split"),
    ],
)
def test_bad_input_gets_one_sentence(
    run: Run, capsys: Capture, words: list[str], code: int, sentence: str
) -> None:
    Path("mine.csv").write_text("path,label,new_label\nblue/01.png,blue,red\n")
    assert imgcli("check", *words) == code
    captured = capsys.readouterr()
    assert sentence in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_a_run_without_folds_is_told_to_make_them(run: Run, capsys: Capture) -> None:
    (run.folder / "predictions-folds.npz").unlink()
    assert imgcli("check", "--labels") == 1
    assert "imgcli evaluate --run" in (err := capsys.readouterr().err) and "--folds 10" in err


def test_photos_of_another_dataset_and_too_few_of_them_are_noted(run: Run, capsys: Capture) -> None:
    said = labelled_predictions(Path("dataset"))
    run.save_predictions(
        "predictions-folds.npz",
        Predictions(
            classes=said.classes,
            indices=said.indices[:1],
            targets=said.targets[:1],
            probs=said.probs[:1],
            fold=np.zeros(1, int),
            groups=said.groups[:1],
            paths=("train/zz/gone.png",),
            on="train",
        ),
    )
    assert imgcli("check", "--labels") == 0
    out, told = (" ".join(text.split()) for text in capsys.readouterr())
    assert told.startswith("'dataset' lacks 1 of 1 photo that the run")
    assert "1 photo is too few to tell whether one is labelled wrong" in out
    assert "No labels to review" not in out


def test_the_page_of_the_check_stays_where_labels_alone_are_checked(run: Run, shell: Shell) -> None:
    checked = Path(shell.json("check", "raw")["sheet"])
    before = checked.read_bytes()
    labels = shell.json("check", "--labels")["sheet"]
    assert labels == ".imgcli/check/labels.html" and checked.read_bytes() == before
    assert f"<h1>Labels of dataset, by run {run.folder.name}</h1>" in Path(labels).read_text(
        "utf-8"
    )
