"""`imgcli.predict` as a function."""

from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.commands.predict import predict
from imgcli.errors import WrongUsage
from tests.support.shell import Printed, as_printed

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def test_predictions_are_arrays_and_a_document(
    run: Path, capsys: Capture, tmp_path: Path, printed: Printed
) -> None:
    result = predict("dataset/test", csv=tmp_path / "found.csv", top=1)
    assert capsys.readouterr().out == ""
    assert result.probs.shape == (8, 2) and len(result.paths) == len(result.predictions) == 8
    np.testing.assert_array_equal(result.confidence, result.probs.max(axis=1))
    assert result.sure.all() and result.promise is None and result.rejected == ()
    assert (tmp_path / "found.csv").read_text().startswith("path,class,confidence\n")
    typed = printed("predict", "dataset/test", "--top", "1")
    assert as_printed(result.to_json()) == typed
    assert result.predictions[0] in repr(result)


def test_a_min_precision_is_kept_by_the_confident(run: Path, printed: Printed) -> None:
    evaluate(folds=3)
    result = predict(["dataset/test"], min_precision=0.5)
    assert result.promise is not None
    np.testing.assert_array_equal(result.sure, result.confidence >= result.promise.threshold)
    typed = printed(*"predict dataset/test --min-precision 0.5".split())
    assert as_printed(result.to_json()) == typed


def test_mistakes_of_predict_are_sentences(tmp_path: Path) -> None:
    for given, message in (
        ({"top": 0}, "--top 0 must be at least 1"),
        ({"min_precision": 95}, "--min-precision 95 is not a share"),
        ({"csv": tmp_path}, "exists. Name another file"),
    ):
        with pytest.raises(WrongUsage, match=message):
            predict("x", **given)  # type: ignore[arg-type]
