"""`imgcli.explain`: maps, neighbours and figures of photos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.commands.explain import explain, position
from imgcli.commands.predict import predict
from imgcli.commands.train import train
from imgcli.photos.decode import view_box
from imgcli.records import Preprocess
from tests.support.shell import Shell
from tests.support.trees import file_states, make_zip

PHOTO, TRAINED = "dataset/test/blue/12.png", "dataset/train/green/03.png"
WHOLE = (0.0, 0.0, 1.0, 1.0)


def test_a_photo_gets_its_prediction_its_evidence_its_neighbours_and_a_figure(
    run: Path, shell: Shell, tmp_path: Path
) -> None:
    before = file_states(Path("dataset"))
    document = shell.json("explain", PHOTO, "--out", str(tmp_path), "--nearest", "3")
    (found,) = document["photos"]
    predicted = predict(PHOTO)
    assert document["run"].endswith(run.name) and document["rejected"] == []
    assert found["path"] == PHOTO and found["class"] == found["predicted"]
    assert found["class"] == predicted.predictions[0] != found["against"]
    assert found["confidence"] == pytest.approx(predicted.confidence[0], rel=1e-4)
    assert found["method"] == "class activation map" and found["map"]["exact"]
    (network,) = found["map"]["networks"]
    assert network["score"] + found["map"]["bias"] == pytest.approx(found["map"]["logit"], rel=1e-5)
    assert 0 <= found["map"]["border"] <= 1 and len(found["map"]["centre"]) == 2
    similar = [near["similarity"] for near in found["nearest"]]
    assert len(similar) == 3 and similar == sorted(similar, reverse=True) and similar[0] <= 1
    assert all(near["path"].startswith(f"train/{near['class']}/") for near in found["nearest"])
    with Image.open(found["figure"]) as figure:
        assert figure.format == "PNG" and min(figure.size) > 400
    assert Path(found["figure"]).parent == tmp_path
    assert file_states(Path("dataset")) == before


def test_the_cells_of_a_map_add_up_to_the_score(run: Path, tmp_path: Path) -> None:
    (one,) = explain(PHOTO, out=tmp_path, nearest=0).photos
    assert float(one.evidence.sum()) + one.bias == pytest.approx(one.logit, rel=1e-3)
    (part,) = one.contributions
    assert float(one.contrast.sum()) == pytest.approx(part.contrast, rel=1e-3, abs=1e-4)
    assert one.nearest == ()


def test_the_cells_add_up_over_all_views_and_to_what_is_predicted(
    run: Path, tmp_path: Path
) -> None:
    views = {"test_flip": True, "test_shift": 2}
    made = train(arch="4C3-P4-4C3", image_size=32, epochs=1, out=tmp_path / "views", **views)
    (one,) = explain(PHOTO, run=made.run, out=tmp_path, nearest=0).photos
    assert float(one.evidence.sum()) + one.bias == pytest.approx(one.logit, rel=1e-3)
    assert all(part.exact for part in one.contributions)
    predicted = predict(PHOTO, run=[made.run])
    np.testing.assert_allclose(one.probs, predicted.probs[0], rtol=1e-4)


def test_a_training_photo_is_nearest_to_itself_and_marked(run: Path, tmp_path: Path) -> None:
    found = explain([TRAINED, PHOTO], out=tmp_path, class_name="blue").to_json()["photos"]
    (own, *others), label = found[0]["nearest"], found[0]["label"]
    assert own["path"] == TRAINED.removeprefix("dataset/") and own["duplicate"]
    assert own["similarity"] == pytest.approx(1, abs=1e-4) and label == "green"
    assert not any(near["duplicate"] for near in others)
    assert found[0]["class"] == "blue" and found[0]["against"] == "green"  # its label
    assert found[1]["label"] is None  # of the test part, which is sealed


def test_the_classes_can_be_named(run: Path, tmp_path: Path, shell: Shell) -> None:
    predicted = predict(PHOTO).predictions[0]
    other = ({"blue", "green"} - {predicted}).pop()
    (one,) = explain(PHOTO, class_name=other, against=predicted, out=tmp_path).to_json()["photos"]
    assert (one["class"], one["against"], one["predicted"]) == (other, predicted, predicted)
    (one,) = explain(PHOTO, against=predicted, out=tmp_path).to_json()["photos"]
    assert (one["class"], one["against"]) == (other, predicted)
    out = shell("explain", PHOTO, "--class", other, "--out", str(tmp_path)).out
    assert f"predicted {predicted}" in " ".join(out.split()) and "Figure: " in out


def test_only_own_figures_are_replaced(run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "12.png"
    mine.write_bytes(Path(PHOTO).read_bytes())
    first = explain(PHOTO, out=tmp_path, nearest=0).figures
    again = explain([PHOTO, "dataset/test/green/12.png"], out=tmp_path, nearest=0).figures
    assert first == (tmp_path / "12-2.png",)
    assert again == (tmp_path / "12-2.png", tmp_path / "12-3.png")
    assert mine.read_bytes() == Path(PHOTO).read_bytes()


def test_a_photo_that_cannot_be_read_is_listed_and_archives_are_read_in_place(
    run: Path, tmp_path: Path, shell: Shell
) -> None:
    files = {"a/one.png": Path(PHOTO).read_bytes(), "a/two.png": b"no picture"}
    archive = make_zip(tmp_path / "new.zip", files)
    document = shell.json("explain", str(archive), "--out", str(tmp_path / "out"))
    assert [one["path"] for one in document["photos"]] == [f"{archive}!a/one.png"]
    assert [one["path"] for one in document["rejected"]] == [f"{archive}!a/two.png"]


def test_without_the_dataset_there_are_maps_and_a_note(
    run: Path, tmp_path: Path, shell: Shell
) -> None:
    photo = tmp_path / "new.png"
    photo.write_bytes(Path(PHOTO).read_bytes())
    Path("dataset").rename("elsewhere")
    try:
        code, out, err = shell("explain", str(photo), "--out", str(tmp_path / "out"))
    finally:
        Path("elsewhere").rename("dataset")
    assert code == 0 and "No training photos to compare with" in err and "Figure: " in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--class", "grene"], "has no class 'grene'. Did you mean green?"),
        (["--class", "zzz"], "has no class 'zzz'. It knows"),
        (["--class", "blue", "--against", "blue"], "both name 'blue'"),
        (["--nearest", "-1"], "--nearest -1 must be from 0 to 50"),
        (["--out", PHOTO], "is a file. Name a folder"),
        (["--run", "nothing"], "nothing"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_mistakes_are_sentences(run: Path, shell: Shell, words: list[str], message: str) -> None:
    code, out, err = shell("explain", PHOTO, *words)
    assert code in (1, 2) and out == "" and message in err and "mistake in imgcli" not in err


def test_a_missing_photo_is_a_sentence(run: Path, shell: Shell) -> None:
    code, _, err = shell("explain", "nothing.jpg")
    assert code == 1 and "nothing.jpg" in err


# --- where the evidence is ---------------------------------------------------------------------


def test_the_position_is_the_middle_of_what_speaks_for_the_class() -> None:
    evidence = np.full((8, 8), -1, np.float32)
    evidence[0, 7] = 3  # the top right cell, an eighth each way
    found = position(evidence, WHOLE)
    assert found == {"centre": [pytest.approx(15 / 16), pytest.approx(1 / 16)], "border": 1.0,
                     "corners": 1.0}  # fmt: skip
    even = position(np.ones((8, 8), np.float32), WHOLE)
    assert even["centre"] == [0.5, 0.5] and even["border"] == pytest.approx(28 / 64)
    assert even["corners"] == pytest.approx(1 / 4)
    assert position(-np.ones((8, 8), np.float32), WHOLE)["centre"] is None


def test_the_view_is_placed_in_the_photo() -> None:
    wide = (400, 200)
    assert view_box(wide, Preprocess(64)) == WHOLE
    crop = view_box(wide, Preprocess(64, fit="crop", crop=0.5))
    assert crop == pytest.approx((0.375, 0.25, 0.625, 0.75), abs=0.01)
    assert view_box(wide, Preprocess(64, fit="pad")) == (0, -0.5, 1, 1.5)
    padded = position(np.ones((8, 8), np.float32), (0, -0.5, 1, 1.5))
    assert padded["centre"] == [0.5, 0.5]
