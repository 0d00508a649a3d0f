from pathlib import Path

import pytest

from imgcli import ledger
from imgcli.config import TrainConfig
from tests.support.photos import write_classes
from tests.support.predictions import photo_predictions
from tests.support.runs import reported_run, write_photos
from tests.support.shell import Shell, imgcli

pytestmark = pytest.mark.usefixtures("here")

COUNTS = ((6, 2, 0), (1, 7, 0), (0, 0, 8))
PROBE = TrainConfig.of(arch="tiny", freeze=True, optimizer="lbfgs")


def refused(shell: Shell, *words: str) -> str:
    code, _, err = shell("report", *words)
    assert code == 1
    return err


@pytest.mark.usefixtures("rendered")
def test_a_report_is_one_file_in_the_run_with_its_figures_beside(shell: Shell) -> None:
    said, tested = photo_predictions(COUNTS, folds=4), photo_predictions(COUNTS, on="test")
    made = reported_run(Path(), said, tested)
    write_photos(Path(), said, tested)
    for why in ("evaluate", "--track-test"):
        ledger.enter(made, ["a", "b"], why)
    document = shell.json("report")
    page = Path(document["report"])
    assert page == made.folder / "report.html" and page.stat().st_size == document["bytes"]
    names = ("folds", "precision", "reliability", "map", "history")
    assert document["figures"] == [str(made.folder / "figures" / f"{name}.png") for name in names]
    files = [Path(path) for path in document["figures"]]
    files += [path.with_suffix(".svg") for path in files]
    assert all(file.stat().st_size > 1000 for file in files)
    text = page.read_text("utf-8")
    assert "Accuracy 87.5\u00a0%: 21 of 24 held-out photos" in text
    assert "2 test-set evaluations so far" in text
    assert "no picture" not in text.split("<dialog")[0]
    assert f"imgcli evaluate --folds 4 --run {made.folder.name}" in text


def test_a_run_without_folds_is_told_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    tested = photo_predictions(COUNTS, on="test")
    made = reported_run(Path(), test=tested)
    write_photos(Path(), tested)
    assert imgcli("report") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Not in it: the spread over folds, classes to merge, labels to review." in out
    assert f"imgcli evaluate --folds 10 --run {made.folder.name}" in out
    text = (made.folder / "report.html").read_text("utf-8")
    assert "photos of the sealed test part" in text and "Classes to merge" not in text


def test_a_run_that_was_only_trained_has_its_history(capsys: pytest.CaptureFixture[str]) -> None:
    made = reported_run(Path())
    assert imgcli("report", "--quiet") == 0
    text = (made.folder / "report.html").read_text("utf-8")
    assert "Not evaluated yet." in text and "Training history, 3 epochs" in text
    assert "there is no 'dataset'" in capsys.readouterr().out


def test_predictions_of_other_classes_are_refused(shell: Shell) -> None:
    reported_run(Path(), photo_predictions(COUNTS, folds=2), classes=("cat", "dog"))
    error = refused(shell)
    assert "is not of this run: its classes are not those of the model" in error
    assert "imgcli evaluate --folds 10 --run" in error


def test_predictions_that_are_damaged_are_named(shell: Shell) -> None:
    made = reported_run(Path(), photo_predictions(COUNTS, folds=2))
    (made.folder / "predictions-folds.npz").write_bytes(b"PK\x03\x04 and no more")
    assert "predictions-folds.npz' cannot be read" in refused(shell)


def test_photos_that_are_not_in_the_dataset_are_counted() -> None:
    said = photo_predictions(COUNTS, folds=4)
    made = reported_run(Path(), said)
    write_photos(Path(), said)
    Path("dataset", said.paths[0]).unlink()
    assert imgcli("report") == 0
    text = (made.folder / "report.html").read_text("utf-8")
    assert "any more: 1 evaluated photo." in text and "no picture" in text


def test_predictions_of_another_split_are_told_apart() -> None:
    write_classes(Path("raw"), per_class=6)
    assert imgcli("split", "raw", "--quiet") == 0
    made = reported_run(Path(), photo_predictions(COUNTS, ("blue", "green", "red"), folds=4))
    assert imgcli("report") == 0
    text = (made.folder / "report.html").read_text("utf-8")
    assert "Of 24 evaluated photos, 24 are not what" in text


def test_a_report_is_replaced_and_nothing_else_is(shell: Shell) -> None:
    reported_run(Path(), epochs=1)
    for _ in range(2):
        assert imgcli("report", "--out", "new/page.html") == 0
    Path("notes.html").write_text("my notes")
    error = refused(shell, "--out", "notes.html")
    assert "'notes.html' exists and is no report" in error
    assert Path("notes.html").read_text() == "my notes"
    assert "is a folder" in refused(shell, "--out", "new")


def test_one_photo_makes_a_report() -> None:
    reported_run(Path(), test=photo_predictions([[0, 1, 0], [0, 0, 0], [0, 0, 0]], on="test"))
    assert imgcli("report") == 0


CURVE = {
    "folds": 5,
    "n": 24,
    "points": [{"photos": 12.0, "accuracy": 0.8, "ci95": [0.7, 0.9]}],
    "times": 2,
    "expected": {"accuracy": 0.85, "ci95": [0.7, 0.95]},
    "sentence": "Expected accuracy with twice the photos: 85.0 %.",
}


def test_the_learning_curve_is_shown_where_it_was_made(shell: Shell) -> None:
    said = photo_predictions(COUNTS, folds=4)
    made = reported_run(Path(), said)
    write_photos(Path(), said)
    assert "learning-curve" not in Path(shell.json("report")["report"]).read_text("utf-8")
    made.write_json("learning-curve.json", CURVE)
    document = shell.json("report")
    assert document["figures"][-1].endswith("figures/learning-curve.png")
    text = Path(document["report"]).read_text("utf-8")
    assert '<figure class="drawing" id="learning-curve">' in text
    assert f"imgcli learning-curve --run {made.folder.name}" in text


def test_a_damaged_learning_curve_is_a_sentence(shell: Shell) -> None:
    said = photo_predictions(COUNTS, folds=4)
    made = reported_run(Path(), said)
    write_photos(Path(), said)
    made.write_json("learning-curve.json", {**CURVE, "points": []})
    assert "make the curve again: imgcli learning-curve --run" in refused(shell)


def test_a_head_fitted_on_frozen_features_has_no_training_history(shell: Shell) -> None:
    said = photo_predictions(COUNTS, folds=4)
    made = reported_run(Path(), said, config=PROBE)
    write_photos(Path(), said)
    document = shell.json("report")
    assert not any("history" in path for path in document["figures"])
    assert "Training history" not in (made.folder / "report.html").read_text("utf-8")


def test_figures_are_drawn_again_only_where_they_change(shell: Shell) -> None:
    said = photo_predictions(COUNTS, folds=4)
    made = reported_run(Path(), said)
    write_photos(Path(), said)

    def times() -> dict[str, int]:
        return {Path(p).name: Path(p).stat().st_mtime_ns for p in shell.json("report")["figures"]}

    before = times()
    assert times() == before
    (made.folder / "figures" / "map.svg").write_text("edited")
    after = times()
    assert {name for name in before if before[name] != after[name]} == {"map.png"}
