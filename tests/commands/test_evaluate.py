"""`imgcli.evaluate` as a function."""

from pathlib import Path

import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.errors import WrongUsage
from tests.support.shell import Printed, as_printed

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


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
