"""`imgcli.evaluate` as a function."""

import json
from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.commands.split import split
from imgcli.commands.train import train
from imgcli.errors import WrongUsage
from imgcli.report.terminal.evaluation import macro_line
from imgcli.runs import Run
from tests.support.photos import coloured_photo, write_dataset
from tests.support.shell import Printed, Shell, as_printed, imgcli

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("rendered")
def test_folds_give_figures_with_intervals(run: Path, capsys: Capture, printed: Printed) -> None:
    result = evaluate(folds=3, repeats=2)
    assert capsys.readouterr().out == ""
    assert result.run.name == run.name and result.n == 24 and result.classes == ("blue", "green")
    assert result.confusion.sum() == 24 and result.evaluation.repeats == 2
    correct = (result.predictions.preds == result.predictions.targets).mean()
    assert result.document["per_repeat"]["accuracy"][0] == pytest.approx(correct)
    assert all(path.is_file() for path in result.figures) and len(result.figures) == 4
    typed = printed("evaluate", "--folds", "3", "--repeats", "2")
    assert as_printed(result.to_json()) == typed
    assert typed["accuracy"]["value"] == result.accuracy.value
    assert "95 % interval" in repr(result) and "<table>" in result._repr_html_()


def test_the_test_part_is_scored_once_and_counted(run: Path, printed: Printed) -> None:
    assert evaluate(run=run).test_evaluations == 1
    result = evaluate(run=[run])
    assert result.test_evaluations is None and result.n == 8
    assert as_printed(result.to_json()) == printed("evaluate")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on": "all"}, "--on all goes with --folds"),
        ({"repeats": 2}, "--repeats goes with --folds"),
        ({"folds": 2, "repeats": 0}, "--repeats 0 must be at least 1"),
    ],
)
def test_mistakes_of_evaluate_are_sentences(given: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        evaluate(**given)  # type: ignore[arg-type]


def test_groups_are_kept_in_one_fold_and_compared_with_photos(
    here: Path, printed: Printed, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photos of a patient are alike and tell nothing of the class: by photos all seems well."""
    tones = np.random.default_rng(3).integers(40, 215, (12, 3))
    for patient in range(12):
        for i in range(6):
            path = Path(f"raw/{'ill' if patient % 2 else 'well'}/p{patient:02}_{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            coloured_photo(tuple(tones[patient]), 100 * patient + i).save(path)
    split(duplicates="exact")
    train("8C3-P2-16", image_size=16, epochs=15, lr=0.01)
    found = printed("evaluate", "--folds", "4", "--group-by", "(p[0-9]+)_", "--compare-ungrouped")
    assert found["grouped_by"] == ["(p[0-9]+)_"] and found["groups"] == 12
    assert found["accuracy"]["value"] < found["ungrouped"]["accuracy"]["value"] - 0.1
    low, high = found["accuracy"]["ci95"]
    assert high - low > 2 * np.diff(found["ungrouped"]["accuracy"]["ci95"])[0]
    (run,) = (path for path in Path("runs").iterdir() if path.name[0] == "2")
    predictions = Run(run).load_predictions("predictions-folds.npz")  # by groups
    pairs = set(zip(predictions.groups.tolist(), predictions.fold.tolist(), strict=True))
    assert len(pairs) == 12 == len({path.rsplit("_", 1)[0] for path in predictions.paths})
    with pytest.raises(WrongUsage, match="has nothing to compare: no photos are grouped"):
        evaluate(4, compare_ungrouped=True)
    with pytest.raises(WrongUsage, match="--compare-ungrouped goes with --folds"):
        evaluate(compare_ungrouped=True)
    capsys.readouterr()
    assert (
        imgcli(*("evaluate", "--folds", "4", "--group-by", "(p[0-9]+)_", "--compare-ungrouped"))
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "Groups kept together: accuracy" in said and "Ungrouped, by photos:" in said


def test_a_run_keeps_its_groups_for_folds(here: Path, printed: Printed) -> None:
    write_dataset(Path("dataset"), train=12, test=4)
    done = train("8C3-P2", image_size=16, epochs=1, group_by=r"/[0-9]*([0-9])\.png")
    config = json.loads((done.run / "config.json").read_text())["config"]
    assert config["group_by"] == [r"/[0-9]*([0-9])\.png"]
    assert done.folds == 10
    assert printed("evaluate", "--folds", "5")["groups"] == 10


def test_a_class_of_one_photo_is_in_no_figure(here: Path, printed: Printed) -> None:
    write_dataset(Path("dataset"), train=12, test=4)
    Path("dataset/train/rare").mkdir()
    coloured_photo((9, 9, 9), 77).save("dataset/train/rare/1.png")
    train("8C3-P2", image_size=16, epochs=1)
    found = printed("evaluate", "--folds", "3")
    assert found["macro_over"] == {"n": 3, "of": 4, "left_out": ["rare"]} and found["n"] == 36
    assert next(row for row in found["per_class"] if row["class"] == "rare")["n"] == 0
    assert "over 3 of 4 classes; without a scored photo: 'rare'" in str(
        macro_line(evaluate(3).evaluation)
    )


def test_an_evaluation_is_arrays_frames_and_figures(run: Path, shell: Shell) -> None:
    result = evaluate(folds=3)
    assert result.probs.shape == (24, 2) and result.targets.shape == result.preds.shape == (24,)
    np.testing.assert_array_equal(result.confusion.sum(axis=1), result.support)
    for figures in (result.precision, result.recall, result.f1):
        assert figures.shape == (2,) and ((figures >= 0) & (figures <= 1)).all()
    classes = result.to_frame()
    assert classes["class"].tolist() == list(result.classes)
    np.testing.assert_array_equal(classes.recall, result.recall)
    photos = result.to_frame("photos")
    assert photos.correct.mean() == result.accuracy.value and photos.path.tolist() == [
        *result.paths
    ]
    np.testing.assert_array_equal(photos[["p(blue)", "p(green)"]].to_numpy(), result.probs)
    figures_of = result.to_frame("figures").set_index("figure")
    assert figures_of.loc["accuracy", ["low", "high"]].tolist() == list(result.accuracy.ci95 or ())
    assert result.figure().axes and result.figure("folds").axes
    assert "<img " in result._repr_html_()
    with pytest.raises(WrongUsage, match="No table 'class'; there are 'classes'"):
        result.to_frame("class")
    with pytest.raises(WrongUsage, match="No figure 'curve'; there are 'confusion'"):
        result.figure("curve")  # type: ignore[arg-type]
    typed = shell("evaluate", "--folds", "3", "--format", "csv", "--table", "confusion")
    assert typed.out == result.to_text("csv", "confusion") and typed.err == ""
