"""What `imgcli predict --csv` writes."""

import csv
from pathlib import Path

import numpy as np

from imgcli.training.predict import Predicted

CLASSES = ("=HYPERLINK(1)", "owl\x1b[31m", "+\n")


def test_names_that_a_spreadsheet_or_a_terminal_would_run_are_harmless(tmp_path: Path) -> None:
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    found = Predicted(CLASSES, ["@a.jpg", "b\udcff.jpg"], probs, [])
    found.write_csv(tmp_path / "p.csv", top=2, threshold=0.5)
    with open(tmp_path / "p.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["path", "class", "confidence", "class_2", "confidence_2", "likely"]
    first = ["'=HYPERLINK(1)", "0.700000", "'owl\\x1b[31m", "0.200000", "'=HYPERLINK(1)"]
    assert rows[0] == ["'@a.jpg", *first]
    assert rows[1] == ["'b\\udcff.jpg", "'+\\n", "0.700000", "'owl\\x1b[31m", "0.200000", "'+\\n"]
