"""`imgcli.predict` as a function."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.commands.evaluate import evaluate
from imgcli.commands.predict import predict
from imgcli.commands.sort_photos import sort_photos
from imgcli.errors import WrongUsage
from imgcli.records import NewPhotos
from imgcli.training.predict import Predicted
from tests.support.photos import COLOURS, coloured_photo, photo
from tests.support.shell import Printed, Shell, as_printed
from tests.support.trees import file_states, make_tar, make_zip

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def test_predictions_are_arrays_and_a_document(
    run: Path, capsys: Capture, tmp_path: Path, printed: Printed
) -> None:
    result = predict("dataset/test", csv=tmp_path / "found.csv", top=1, false_alarms=0)
    assert capsys.readouterr().out == ""
    assert result.probs.shape == (8, 2) and len(result.paths) == len(result.predictions) == 8
    np.testing.assert_array_equal(result.confidence, result.probs.max(axis=1))
    assert result.sure.all() and result.promise is None and result.rejected == ()
    assert (tmp_path / "found.csv").read_text().startswith("path,class,confidence\n")
    typed = printed("predict", "dataset/test", "--top", "1", "--false-alarms", "0")
    assert as_printed(result.to_json()) == typed
    assert result.predictions[0] in repr(result)


def test_a_min_precision_is_kept_by_the_confident(run: Path, printed: Printed) -> None:
    evaluate(folds=3)
    result = predict(["dataset/test"], min_precision=0.5)
    assert result.promise is not None
    np.testing.assert_array_equal(result.sure, result.confidence >= result.promise.threshold)
    typed = printed(*"predict dataset/test --min-precision 0.5".split())
    assert as_printed(result.to_json()) == typed


def test_predictions_go_to_standard_output_as_csv_and_nothing_else(
    run: Path, shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    words = ("predict", "dataset/test", str(tmp_path / "broken.jpg"))
    code, out, err = shell(*words, "--csv", "-")
    result = predict(["dataset/test"])
    assert (code, out) == (0, result.table)
    assert "1 photo could not be used" in err
    code, out, err = shell(*words, "--csv", "-", "--json")
    assert (code, out) == (2, "") and "--json and --csv - both write to standard output" in err
    assert not Path("-").exists()


@pytest.fixture
def between(tmp_path: Path) -> Path:
    """A folder of 8 photos from one class to the other, of which some are unclear."""
    folder = tmp_path / "between"
    folder.mkdir()
    blue, green = np.array(COLOURS["blue"]), np.array(COLOURS["green"])
    for i, colour in enumerate(np.linspace(blue, green, 8)):
        coloured_photo(tuple(colour), i).save(folder / f"{i}.png")
    return folder


def test_photos_below_a_confidence_are_unsure(
    run: Path, between: Path, printed: Printed, shell: Shell, tmp_path: Path
) -> None:
    everything = predict(between, false_alarms=0)
    below = float(everything.confidence.max())
    result = predict(between, false_alarms=0, unsure=below, csv=tmp_path / "found.csv")
    np.testing.assert_array_equal(result.sure, everything.confidence >= below)
    document = printed("predict", str(between), "--false-alarms", "0", "--unsure", repr(below))
    assert as_printed(result.to_json()) == document
    shown = shell("predict", str(between), "--false-alarms", "0", "--unsure", repr(below)).out
    assert f"Answered {document['answered']} of 8 photos, those with a confidence of" in shown
    unsure = [row for row in document["predictions"] if row["class"] is None]
    assert len(unsure) == document["unsure"] == 8 - document["answered"] > 0
    assert (tmp_path / "found.csv").read_text().count(",unsure,") == len(unsure)


def test_members_of_an_archive_are_predicted_as_the_files_are(run: Path, tmp_path: Path) -> None:
    files = {path: Path(path).read_bytes() for path in predict("dataset/test").paths}
    for archive in (make_zip(tmp_path / "x.zip", files), make_tar(tmp_path / "x.tar", files)):
        result = predict(archive)
        assert list(result.paths) == [f"{archive}!{name}" for name in files]
        np.testing.assert_array_equal(result.probs, predict("dataset/test").probs)


def test_photos_are_sorted_by_their_predictions(
    run: Path, between: Path, shell: Shell, tmp_path: Path
) -> None:
    out, answers = tmp_path / "sorted it", predict(between, false_alarms=0)
    below = float(answers.confidence.max())
    before = file_states(between)
    document = shell.json(
        "predict",
        str(between),
        "--false-alarms",
        "0",
        "--sort-into",
        str(out),
        "--unsure",
        repr(below),
    )
    found = document["sorted"]
    assert found["unsure"] == document["unsure"] == len(list(out.glob("unsure/*")))
    for label, n in found["classes"].items():
        assert len(list(out.glob(f"{label}/*"))) == n
    assert found["unsure"] + sum(found["classes"].values()) == 8
    for path, label, sure in zip(
        answers.paths, answers.predictions, answers.confidence >= below, strict=True
    ):
        folder = out / (label if sure else "unsure")
        assert any(Path(path).samefile(photo) for photo in folder.iterdir())
    assert file_states(between) == before
    code, shown, _ = shell("predict", str(between), "--false-alarms", "0", "--sort-into", str(out))
    assert code == 0 and f"Undo: imgcli restore '{out}'" in shown
    code, shown, _ = shell("restore", str(out))
    assert code == 0 and shown.startswith("Took ") and not out.exists()


def test_a_class_that_is_called_unsure_keeps_its_folder(tmp_path: Path) -> None:
    found = Predicted(
        ("cat", "unsure"), ["a", "b"], np.array([[0.1, 0.9], [0.6, 0.4]]), [], np.arange(2)
    )
    names = tuple(str(tmp_path / name) for name in ("a.png", "b.png"))
    for number, name in enumerate(names):
        Path(name).write_bytes(photo(number))
    photos = NewPhotos(names, ("a.png", "b.png"), lambda: names)
    answers = np.array([1, -1])
    done = sort_photos(photos, found, answers, tmp_path / "out", "auto")
    assert done.classes == {"unsure": 1} and (done.unsure, done.unsure_folder) == (1, "unsure-2")


def test_mistakes_of_predict_are_sentences(tmp_path: Path) -> None:
    for given, message in (
        ({"top": 0}, "--top 0 must be at least 1"),
        ({"min_precision": 95}, "--min-precision 95 is not a share"),
        ({"csv": tmp_path}, "exists. Name another file"),
        ({"unsure": 60}, "--unsure 60 is not a confidence"),
        ({"false_alarms": 5}, "--false-alarms 5 is not a share"),
        ({"unsure": 0.5, "min_precision": 0.9}, "give the one or the other"),
        ({"coverage": 95}, "--coverage 95 is not a share"),
        ({"coverage": 0.95, "min_precision": 0.9}, "--min-precision and --coverage both say"),
        ({"cost": tmp_path / "none.csv"}, "none.csv' is no file"),
        ({"link": "copy"}, "--link copy goes with --sort-into"),
    ):
        with pytest.raises(WrongUsage, match=message):
            predict("x", **given)  # type: ignore[arg-type]


def test_photos_of_none_of_the_classes_are_told(
    run: Path, shell: Shell, printed: Printed, tmp_path: Path
) -> None:
    evaluate(folds=3)
    odd = tmp_path / "odd"
    odd.mkdir()
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(odd / f"{i}.png")
    result = predict(["dataset/test", odd], false_alarms=0.1)
    strange = np.array([str(odd) in path for path in result.paths])
    assert result.none_of_these[strange].all() and not result.sure[strange].any()
    assert result.none_of_these[~strange].mean() < 0.5
    document = printed("predict", "dataset/test", str(odd), "--false-alarms", "0.1")
    assert as_printed(result.to_json()) == document
    told = [one["path"] for one in document["predictions"] if one["none_of_these"]]
    assert len(told) == document["novelty"]["none_of_these"] >= 4
    assert all(one["class"] is None for one in document["predictions"] if one["none_of_these"])
    words = ("predict", "dataset/test", str(odd), "--false-alarms")
    shown = shell(*words, "0.1").out
    assert "None of these; most probable:" in shown and "None of these: " in shown
    assert predict([odd], false_alarms=0.1).table.count(",none of these,") == 4
    everything = predict([odd], false_alarms=0)
    assert everything.sure.all() and everything.novelty is None
    out = tmp_path / "sorted"
    placed = predict([odd], false_alarms=0.1, sort_into=out).sorted
    assert placed is not None and placed.none_of_these == 4
    assert len(list((out / "none of these").iterdir())) == 4


def test_why_no_photo_is_of_none_of_the_classes_is_said(
    run: Path, shell: Shell, tmp_path: Path
) -> None:
    kept = Path("runs/latest/novelty.npz")
    kept.unlink(missing_ok=True)
    assert "evaluate the run first" in shell("predict", "dataset/test").out
    evaluate(folds=3)
    assert kept.is_file()  # made again of stored folds
    shown = " ".join(shell("predict", "dataset/test", "--false-alarms", "0.01").out.split())
    assert "false alarms of 0.01 take 99 out-of-fold photos" in shown
    second = shutil.copytree(Path("runs") / run.name, tmp_path / "second")
    averaged = shell("predict", "dataset/test", "--run", "latest", "--run", str(second)).out
    assert "several are averaged" in " ".join(averaged.split())


def test_photos_that_differ_from_those_before_are_said_to(
    run: Path, printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(folds=3)
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    assert predict("dataset/test", false_alarms=0.1).drift is None  # too few to tell
    for few in ("FEWEST", "FEWEST_KNOWN"):
        monkeypatch.setattr(f"imgcli.evaluation.drift.{few}", 4)
    document = printed("predict", str(tmp_path), "--false-alarms", "0.1")
    assert "look different from those" in document["drift"]["sentence"]
    assert set(document["drift"]["farthest"]) <= {p["path"] for p in document["predictions"]}
