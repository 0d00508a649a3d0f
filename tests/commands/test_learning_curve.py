"""`imgcli.learning_curve` as a function."""

from pathlib import Path

import pytest

from imgcli.commands.learning_curve import learning_curve
from tests.support.shell import Printed, as_printed

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def test_a_learning_curve_is_points_and_a_sentence(
    run: Path, capsys: Capture, printed: Printed
) -> None:
    result = learning_curve(folds=2)
    assert capsys.readouterr().out == ""
    assert result.n == 24 and result.points[-1]["photos"] == 12 and result.figure.is_file()
    assert result.sentence in repr(result)
    typed = printed("learning-curve", "--folds", "2")
    assert as_printed(result.to_json()) == typed
