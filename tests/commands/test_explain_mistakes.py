"""`imgcli explain` without photos: the mistakes of the folds, for the report."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.commands.explain import explain
from imgcli.commands.train import train
from imgcli.commands.write_report import write_report
from imgcli.evaluation import explanations_io
from imgcli.evaluation.predictions_io import out_of_fold
from imgcli.run_lookup import find_run
from imgcli.runs import Run
from tests.support.photos import write_dataset
from tests.support.shell import Shell, modules_of
from tests.support.trees import file_states


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run, from whose folder some blue photos are labelled green."""
    folder = tmp_path_factory.mktemp("mistaken")
    write_dataset(folder / "dataset", train=14, test=2, classes=2)
    for i in (1, 4, 7):
        source = folder / f"dataset/train/blue/{i:02}.png"
        source.rename(folder / f"dataset/train/green/blue{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train("test_resnet", freeze=True, pretrained=False, image_size=32, precision="fp32")
        evaluate(folds=3)
        yield find_run("latest")


def test_mistakes_are_explained_by_the_network_that_made_them(
    mistaken: Run, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    before = file_states(Path("dataset"))
    assert [one.command for one in write_report().missing if "explain" in one.command]
    predictions = out_of_fold(mistaken)
    wrong = np.flatnonzero(predictions.preds != predictions.targets)
    assert len(wrong)
    result = explain()
    assert result.held_out and result.figures == () and len(result.photos) == len(wrong)
    by_path = dict(zip(predictions.paths, range(len(predictions)), strict=True))
    for one in result.photos:
        row = by_path[one.path.removeprefix("dataset/")]
        assert one.explained == predictions.preds[row] == one.probs.argmax()
        assert one.against == predictions.targets[row]
        assert float(one.evidence.sum()) + one.bias == pytest.approx(one.logit, rel=1e-3)
    stored = explanations_io.load(mistaken)
    assert stored is not None and len(stored.paths) == len(wrong) and stored.held_out
    report = write_report()
    assert not [one.command for one in report.missing if "explain" in one.command]
    page = report.report.read_text("utf-8")
    assert page.count('<img class="evidence"') >= len(wrong)
    assert "the evidence for the predicted class (orange)" in page and report.bytes < 2_000_000
    assert file_states(Path("dataset")) == before
    out = " ".join(shell("explain", "--nearest", "0").out.split())
    assert "which had not seen the photo" in out and "Next: imgcli report" in out
    assert "torch" not in modules_of("report")


def test_figures_are_drawn_on_request(mistaken: Run, tmp_path: Path, shell: Shell) -> None:
    document = shell.json("explain", "--out", str(tmp_path / "why"), "--nearest", "2")
    assert document["held_out"] and document["stored"].endswith("explanations.npz")
    assert all(Path(one["figure"]).is_file() for one in document["photos"])


def test_classes_are_named_with_photos_only(mistaken: Run, shell: Shell) -> None:
    code, _, err = shell("explain", "--class", "blue")
    assert code == 2 and "--class and --against go with photos" in err
