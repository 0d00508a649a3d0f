"""The tables of `--track csv`."""

import csv
from pathlib import Path

from imgcli.tracking.csv import begin
from imgcli.tracking.tracker import About, Point


def steps(folder: Path, name: str) -> list[tuple[str, str, str]]:
    """Run, step and value of each line with a value."""
    text = (folder / "csv/metrics.csv").read_text("utf-8")
    return [
        (line["run"], line["step"], line["value"])
        for line in csv.DictReader(text.splitlines())
        if line["name"] == name
    ]


def test_a_resumed_run_repeats_no_value_and_lacks_none(tmp_path: Path) -> None:
    about = About("one", tmp_path, "train", {"lr": 0.1})
    first = begin(about, {})
    first.log([Point(1, 0.0, {"loss": 3.0, "val": 1.0}), Point(2, 0.0, {"loss": 2.0})])
    first.child(About("part", tmp_path, "fit")).log([Point(9, 0.0, {"loss": 7.0})])
    again = begin(about, first.address)  # killed before the end of an epoch: "val" of step 2
    again.log([Point(2, 1.0, {"loss": 2.0, "val": 0.5}), Point(3, 1.0, {"loss": 1.0})])
    own = [found for found in steps(tmp_path, "loss") if found[0] == "one"]
    assert own == [("one", "1", "3.0"), ("one", "2", "2.0"), ("one", "3", "1.0")]
    assert [step for _, step, _ in steps(tmp_path, "val")] == ["1", "2"]
    assert (tmp_path / "csv/config.csv").read_text() == "choice,value\nlr,0.1\n"


def test_no_name_is_a_formula(tmp_path: Path) -> None:
    run = begin(About("=1+1", tmp_path, "train", {"weights": "=cmd|' /C calc'!A0"}), {})
    run.log([Point(1, 0.0, {"loss": 3.0})])
    run.table("classes", ["class"], [["@SUM(1)"]])
    for name in ("metrics", "config", "classes"):
        text = (tmp_path / f"csv/{name}.csv").read_text("utf-8")
        cells = [cell for line in csv.reader(text.splitlines()) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "@"))]
