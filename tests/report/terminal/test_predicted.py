"""The predictions of many photos on the terminal: the first of them, and how many there are."""

import numpy as np
import pytest
from rich.table import Table

from imgcli.report.terminal import evaluation


def test_of_many_photos_the_first_are_listed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_PREDICTED", 5)
    paths = [f"{i}.jpg" for i in range(2_000)]
    sure = np.arange(2_000) >= 3
    shown = [*evaluation.predicted(paths, ["a", "b"], np.full((2_000, 2), 0.5), sure)]
    answered, rest, _, unsure = shown
    assert isinstance(answered, Table) and answered.row_count == 5
    assert rest == "The first 5 of 1,997 photos; --csv FILE or --json has all."
    assert isinstance(unsure, Table) and unsure.row_count == 3
