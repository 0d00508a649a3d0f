"""What `imgcli predict --csv` writes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.training.predict import Predicted
from tests.support.shell import Shell

CLASSES = ("=HYPERLINK(1)", "owl\x1b[31m", "+\n")


def test_names_that_a_spreadsheet_or_a_terminal_would_run_are_harmless(tmp_path: Path) -> None:
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    found = Predicted(CLASSES, ["@a.jpg", "b\udcff.jpg"], probs, [])
    likely = [CLASSES[0], CLASSES[2]]
    found.write_csv(tmp_path / "p.csv", 2, np.array([0, 2]), {"likely": likely})
    with open(tmp_path / "p.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["path", "class", "confidence", "class_2", "confidence_2", "likely"]
    first = ["'=HYPERLINK(1)", "0.700000", "'owl\\x1b[31m", "0.200000", "'=HYPERLINK(1)"]
    assert rows[0] == ["'@a.jpg", *first]
    assert rows[1] == ["'b\\udcff.jpg", "'+\\n", "0.700000", "'owl\\x1b[31m", "0.200000", "'+\\n"]


@pytest.mark.usefixtures("here")
def test_a_run_keeps_the_range_of_its_photos_for_new_ones(shell: Shell) -> None:
    rng = np.random.default_rng(0)
    for label, low in (("dark", 0), ("bright", 2000)):
        for i in range(6):
            file = Path(f"data/{'test' if i == 5 else 'train'}/{label}/{i}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(low, low + 2000, (24, 24)).astype(np.uint16)).save(file)
    code, _, err = shell(
        *("train", "--data", "data", "--arch", "4C3-P2-8", "--image-size", "16", "--epochs", "1")
    )
    assert code == 0 and "0–4,095 (12 bits) is taken as black to white" in err
    stored = json.loads(Path("runs/latest/model.json").read_text())["preprocess"]
    assert stored["sample_range"] == {"bits": 12, "integers": None, "floats": None}
    # Alone, the dark photo would be of 11 bits or fewer; both are what they were in training.
    code, out, _ = shell("predict", "data/test", "--json")
    alone = shell("predict", "data/test/dark/5.png", "--json")[1]
    assert code == 0
    (photo,) = json.loads(alone)["predictions"]
    both = {one["path"]: one["confidence"] for one in json.loads(out)["predictions"]}
    assert photo["confidence"] == pytest.approx(both[photo["path"]], abs=1e-6)


@pytest.mark.usefixtures("here")
def test_the_test_part_has_no_say_in_the_range(shell: Shell) -> None:
    rng = np.random.default_rng(0)
    for part, high in (("train", 4000), ("test", 60_000)):
        for label in ("cat", "dog"):
            for i in range(4):
                file = Path(f"data/{part}/{label}/{part}{i}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, high, (24, 24)).astype(np.uint16)).save(file)
    words = ("--data", "data", "--arch", "4C3-P2-8", "--image-size", "16", "--epochs", "1")
    assert shell("train", *words).code == 0
    stored = json.loads(Path("runs/latest/model.json").read_text())["preprocess"]
    assert stored["sample_range"]["bits"] == 12
