"""`imgcli.evaluate`, `imgcli.predict` and `imgcli.learning_curve` as functions, on one run."""

from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.commands.learning_curve import learning_curve
from imgcli.commands.predict import predict
from imgcli.commands.train import train
from imgcli.errors import WrongUsage
from tests.commands.shell import as_printed, typed_json
from tests.photo_folders import write_dataset

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of two classes and a run, for all tests here."""
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(folder / "dataset", train=12, test=4, classes=2)
        train("resnet18", freeze=True, pretrained=False, image_size=32, precision="fp32")
    return folder


@pytest.fixture
def run(place: Path, monkeypatch: Patch) -> Path:
    monkeypatch.chdir(place)
    return Path("runs/latest").readlink()


def test_folds_give_figures_with_intervals(run: Path, monkeypatch: Patch, capsys: Capture) -> None:
    result = evaluate(folds=3, repeats=2)
    assert capsys.readouterr().out == ""
    assert result.run.name == run.name and result.n == 24 and result.classes == ("blue", "green")
    assert result.confusion.sum() == 24 and result.evaluation.repeats == 2
    correct = (result.predictions.preds == result.predictions.targets).mean()
    assert result.document["per_repeat"]["accuracy"][0] == pytest.approx(correct)
    assert all(path.is_file() for path in result.figures) and len(result.figures) == 4
    typed = typed_json(monkeypatch, capsys, "evaluate", "--folds", "3", "--repeats", "2")
    assert as_printed(result.to_json()) == typed
    assert typed["accuracy"]["value"] == result.accuracy.value
    assert "95 % interval" in repr(result) and "<table>" in result._repr_html_()


def test_the_test_part_is_scored_once_and_counted(
    run: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    assert evaluate(run=run).test_evaluations == 1
    result = evaluate(run=[run])
    assert result.test_evaluations is None and result.n == 8
    assert as_printed(result.to_json()) == typed_json(monkeypatch, capsys, "evaluate")


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


def test_predictions_are_arrays_and_a_document(
    run: Path, monkeypatch: Patch, capsys: Capture, tmp_path: Path
) -> None:
    result = predict("dataset/test", csv=tmp_path / "found.csv", top=1)
    assert capsys.readouterr().out == ""
    assert result.probs.shape == (8, 2) and len(result.paths) == len(result.predictions) == 8
    np.testing.assert_array_equal(result.confidence, result.probs.max(axis=1))
    assert result.sure.all() and result.promise is None and result.rejected == ()
    assert (tmp_path / "found.csv").read_text().startswith("path,class,confidence\n")
    typed = typed_json(monkeypatch, capsys, "predict", "dataset/test", "--top", "1")
    assert as_printed(result.to_json()) == typed
    assert result.predictions[0] in repr(result)


def test_a_min_precision_is_kept_by_the_confident(
    run: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    evaluate(folds=3)
    result = predict(["dataset/test"], min_precision=0.5)
    assert result.promise is not None
    np.testing.assert_array_equal(result.sure, result.confidence >= result.promise.threshold)
    typed = typed_json(monkeypatch, capsys, *"predict dataset/test --min-precision 0.5".split())
    assert as_printed(result.to_json()) == typed


def test_mistakes_of_predict_are_sentences(tmp_path: Path) -> None:
    for given, message in (
        ({"top": 0}, "--top 0 must be at least 1"),
        ({"min_precision": 95}, "--min-precision 95 is not a share"),
        ({"csv": tmp_path}, "exists. Name another file"),
    ):
        with pytest.raises(WrongUsage, match=message):
            predict("x", **given)  # type: ignore[arg-type]


def test_a_learning_curve_is_points_and_a_sentence(
    run: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    result = learning_curve(folds=2)
    assert capsys.readouterr().out == ""
    assert result.n == 24 and result.points[-1]["photos"] == 12 and result.figure.is_file()
    assert result.sentence in repr(result)
    typed = typed_json(monkeypatch, capsys, "learning-curve", "--folds", "2")
    assert as_printed(result.to_json()) == typed
