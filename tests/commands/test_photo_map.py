"""The map of a run's photos: who is in it, what they are coloured by, which photos are shown."""

import json
from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.photo_map import photo_map
from imgcli.errors import Refused, RunError
from imgcli.run_lookup import find_run
from tests.support.runs import run_with_a_wrong_label


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("workspace")
def test_the_photos_of_the_folds_are_in_it_near_those_that_get_similar_answers() -> None:
    found, _ = photo_map(run_with_a_wrong_label(Path("runs/one")))
    label = next(c for c in found.colourings if c.key == "prediction")
    far = np.linalg.norm(found.places[:, None] - found.places[None], axis=2)
    np.fill_diagonal(far, 9)
    assert (label.codes[far.argmin(axis=1)] == label.codes).mean() > 0.9
    assert found.meaning == "Photos close together get similar answers"
    assert sum("predicted as red" in caption for caption in found.captions) == 1


@pytest.mark.usefixtures("workspace")
def test_thumbnails_are_of_the_photos_of_the_dataset() -> None:
    found, thumbnail = photo_map(run_with_a_wrong_label(Path("runs/one")))
    assert (thumbnail(0) or b"")[8:12] == b"WEBP"
    (Path("dataset") / found.paths[1]).unlink()
    assert thumbnail(1) is None


def test_photos_of_a_frozen_run_lie_by_their_features_and_are_coloured_by_source(
    run: Path,
) -> None:
    from imgcli.commands.evaluate import evaluate
    from imgcli.reading import digest_of

    data = Path("dataset").resolve()
    predictions = evaluate(folds=2, run=run).predictions
    first = data / predictions.paths[0]
    provenance = data / "provenance.jsonl"
    size = first.stat().st_size
    line = {"path": "a.png", "source": "web", "sha256": digest_of(first), "size": size}
    provenance.write_text(json.dumps(line) + "\n")
    try:
        found, _ = photo_map(find_run(str(run)))
    finally:
        provenance.unlink()
    assert found.meaning == "Photos close together look alike to the model"
    source = found.colourings[-1]
    assert (source.key, source.names) == ("source", ("web",))
    assert source.codes.tolist() == [0] + [-1] * (len(found.paths) - 1)


@pytest.mark.usefixtures("workspace")
def test_a_run_without_folds_is_told_to_be_evaluated() -> None:
    run = run_with_a_wrong_label(Path("runs/one"))
    (run.folder / "predictions-folds.npz").unlink()
    with pytest.raises(RunError, match="Make them first: imgcli evaluate"):
        photo_map(run)


@pytest.mark.usefixtures("workspace")
def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run = run_with_a_wrong_label(Path("runs/one"))
    with pytest.raises(Refused, match=r"pip install 'imgcli\[review\]'"):
        photo_map(run)
