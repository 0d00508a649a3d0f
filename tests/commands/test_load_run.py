"""`imgcli.load_run`: a run as an object, whose answers are those of `imgcli predict`."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score
from sklearn.utils.validation import check_is_fitted

from imgcli.commands.evaluate import evaluate
from imgcli.commands.load_run import LoadedRun, load_run
from imgcli.commands.predict import predict
from imgcli.commands.train import train
from imgcli.errors import DataError, Refused, RunError, WrongUsage
from tests.support.photos import image_bytes, jpeg, make_photo
from tests.support.shell import Shell, as_printed

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def loaded(trained_folder: Path) -> LoadedRun:
    """The run of the folder, evaluated and so calibrated."""
    with Patch.context() as patch:
        patch.chdir(trained_folder)
        evaluate(folds=3)
        found = load_run()
        assert found.model is found.model  # loaded once
    return found


@pytest.fixture
def there(loaded: LoadedRun, trained_folder: Path, monkeypatch: Patch) -> LoadedRun:
    monkeypatch.chdir(trained_folder)
    return loaded


def files() -> list[str]:
    return sorted(map(str, Path("dataset/test").rglob("*.png")))


def labels() -> list[str]:
    return [Path(file).parent.name for file in files()]


def test_a_run_tells_what_it_is(there: LoadedRun, shell: Shell) -> None:
    assert there.classes == ("blue", "green") and there.data == Path("dataset").absolute()
    assert there.config.model.arch == "resnet18" and there.temperatures[0] != 1
    assert len(there.history) and {"part", "loss"} <= set(there.history.columns)
    assert {path.name for path in there.figures} >= {"confusion.png", "folds.png"}
    assert there.evaluation and there.predictions
    assert there.evaluation.confusion.shape == (2, 2) and there.predictions.probs.shape == (24, 2)
    assert there.to_frame("photos").path.tolist() == list(there.predictions.paths)
    assert "<img " in there._repr_html_() and "resnet18" in repr(there)
    assert as_printed(there.to_json()) == shell.json("show", str(there.folder))
    with pytest.raises(AttributeError):
        there.device = "cuda"  # type: ignore[misc]


def test_the_model_is_a_module_whose_softmax_is_the_prediction(there: LoadedRun) -> None:
    images = torch.stack([there.preprocess(file) for file in files()])
    assert isinstance(there.model, torch.nn.Module) and not there.model.training
    assert images.shape == (8, 3, 32, 32) and images.dtype == torch.float32
    logits = there.model(images)
    assert logits.shape == (8, 2) and logits.requires_grad  # of a plain module
    found = predict(files()).probs
    np.testing.assert_allclose(torch.softmax(logits, 1).detach().numpy(), found, atol=1e-5)


def test_photos_are_prepared_alike_wherever_they_are(there: LoadedRun, tmp_path: Path) -> None:
    """A large JPEG that is turned by EXIF, and modes that PNG has not."""
    photo = make_photo(1, (640, 480))
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(jpeg(photo, orientation=6))
    ink = tmp_path / "ink.tif"
    ink.write_bytes(image_bytes(photo.convert("CMYK"), "TIFF"))
    see_through = tmp_path / "alpha.png"
    alpha = photo.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(photo.size))
    alpha.save(see_through)
    for file in (turned, ink, see_through):
        wanted = there.preprocess(file)
        with Image.open(file) as image:
            assert torch.equal(there.preprocess(image), wanted), file
            assert torch.equal(there.preprocess(image), wanted), file  # again
            assert image.load() is not None  # it can still be used
    array = np.asarray(photo)
    small = photo.resize((40, 30))
    assert torch.equal(there.preprocess(array), there.preprocess(photo))
    assert torch.equal(
        there.preprocess(np.asarray(small.convert("L"))), there.preprocess(small.convert("L"))
    )
    found = there.predict([turned, array, Image.open(ink)])
    assert found.paths == (str(turned), "photo 1", "photo 2") and found.probs.shape == (3, 2)
    np.testing.assert_allclose(found.probs[0], predict(turned).probs[0], atol=1e-6)
    assert there.predict(np.stack([array, array])).probs.shape == (2, 2)
    assert found._repr_html_().count("<figure") == 1  # of the one that is a file
    assert list(found.to_frame().columns[:4]) == ["path", "class", "confidence", "sure"]


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (np.zeros((4, 4, 3)), r"array of float64 and shape \(4, 4, 3\) is no photo"),
        (np.zeros((4, 4, 5), np.uint8), "is no photo"),
        (np.zeros((0, 4, 3), np.uint8), "is no photo"),
        (3, "A photo of type int cannot be read"),
    ],
)
def test_what_is_no_photo_is_refused_in_a_sentence(
    there: LoadedRun, photo: object, said: str
) -> None:
    with pytest.raises(WrongUsage, match=said):
        there.predict([photo])  # type: ignore[list-item]
    with pytest.raises(WrongUsage, match=said):
        there.preprocess(photo)
    with pytest.raises(WrongUsage, match=said):
        there.as_sklearn().predict_proba([photo])


def test_a_file_that_is_no_photo_is_named(there: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(DataError, match=r"text\.jpg' is not a picture"):
        there.preprocess(tmp_path / "text.jpg")
    with pytest.raises(DataError, match=r"text\.jpg' is not a picture.* Leave it out\."):
        there.as_sklearn().predict([tmp_path / "text.jpg", files()[0]])
    found = there.predict([tmp_path / "text.jpg", Image.open(files()[0])])
    assert found.paths == ("photo 1",) and len(found.rejected) == 1


def test_an_estimator_gives_the_probabilities_of_predict(there: LoadedRun) -> None:
    estimator = there.as_sklearn()
    check_is_fitted(estimator)
    assert estimator.classes_.tolist() == ["blue", "green"]
    wanted = predict(files()).probs
    np.testing.assert_array_equal(estimator.predict_proba(files()), wanted)
    arrays = [np.asarray(Image.open(file)) for file in files()]
    np.testing.assert_array_equal(estimator.predict_proba(np.stack(arrays)), wanted)
    names = np.array(["blue", "green"])[wanted.argmax(axis=1)]
    assert estimator.predict(files()).tolist() == names.tolist()
    assert estimator.score(files(), labels()) == (names == labels()).mean()
    assert estimator.get_params() == {"run": str(there.folder), "device": "auto"}
    assert estimator.predict_proba([files()[0]] * 2).shape == (2, 2)  # none is left out


def test_an_estimator_works_where_scikit_learn_puts_it(
    there: LoadedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    estimator, X, y = there.as_sklearn(), files(), labels()
    copy = clone(estimator)
    check_is_fitted(copy)
    np.testing.assert_array_equal(copy.predict_proba(X), estimator.predict_proba(X))
    assert cross_val_score(estimator, X, y, cv=2).mean() == estimator.score(X, y)
    assert "fit trains nothing" in capsys.readouterr().err
    assert get_scorer("neg_log_loss")(estimator, X, y) < 0
    again = CalibratedClassifierCV(FrozenEstimator(estimator), cv=2).fit(X, y)
    assert again.predict_proba(X).shape == (8, 2)
    with pytest.raises(WrongUsage, match="does not know the class 'red'; it knows 'blue' and"):
        estimator.fit(X[:1], ["red"])


def test_a_pickle_has_no_weights_and_is_refused_where_the_run_changed(
    there: LoadedRun, monkeypatch: Patch, tmp_path: Path
) -> None:
    kept = pickle.dumps(there.as_sklearn())
    assert len(kept) < 2000
    wanted = predict(files()).probs
    X = [str(Path(file).absolute()) for file in files()]
    monkeypatch.chdir(tmp_path)  # found from elsewhere
    np.testing.assert_array_equal(pickle.loads(kept).predict_proba(X), wanted)
    model = there.folder / "model.json"
    before = model.read_bytes()
    model.write_bytes(before + b"\n")
    try:
        with pytest.raises(RunError, match=r"its model\.json has changed"):
            pickle.loads(kept).predict_proba(X)
    finally:
        model.write_bytes(before)


def test_several_runs_are_averaged(there: LoadedRun, tmp_path: Path) -> None:
    other = train("8C3-P2-8", image_size=16, epochs=1, out=tmp_path / "runs").run
    bag = load_run(["latest", other])
    wanted = predict(files(), run=["latest", other]).probs
    np.testing.assert_allclose(bag.predict(files()).probs, wanted)
    np.testing.assert_allclose(bag.as_sklearn().predict_proba(files()), wanted)
    with pytest.raises(Refused, match=r"prepare photos differently .* no model in common"):
        _ = bag.model
    third = train("8C3-P2-8", image_size=16, epochs=1, seed=1, out=tmp_path / "runs").run
    alike = load_run([other, third])
    images = torch.stack([alike.preprocess(file) for file in files()])
    found = torch.softmax(alike.model(images), dim=1).detach().numpy()
    np.testing.assert_allclose(found, alike.predict(files()).probs, atol=1e-5)
    assert len(alike.to_json()["bag"]) == 2
    with pytest.raises(RunError, match=r"has not been evaluated\. Do it first"):
        alike.to_frame()


def test_mistakes_of_load_run_are_sentences(there: LoadedRun) -> None:
    with pytest.raises(RunError, match="No run 'nothing'"):
        load_run("nothing")
    with pytest.raises(WrongUsage, match="--device tpu is not known"):
        load_run(device="tpu")
