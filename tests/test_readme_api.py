"""The calls of the README's section on Python, run on a tiny folder."""

import shutil
from pathlib import Path

import pytest

import imgcli
from tests.support.photos import write_classes

README = Path(__file__).resolve().parents[1] / "README.md"
FIVE = ("import_photos", "split", "train", "evaluate", "suggest_merges")
TINY = {  # what makes the README's calls short enough for a test
    'arch="resnet101", freeze=True': 'arch="8C3-P2-16", image_size=16, epochs=1',
    "folds=10": "folds=2",
}


def test_the_five_calls_run_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.make_archive("photos", "zip", write_classes(tmp_path / "photos", per_class=20))
    section = README.read_text("utf-8").split("## In Python")[1].split("\n## ")[0]
    calls = [line[4:] for line in section.splitlines() if line.startswith("    imgcli.")]
    assert [call.split("(")[0] for call in calls] == [f"imgcli.{name}" for name in FIVE]
    results = []
    for call in calls:
        for written, tiny in TINY.items():
            call = call.replace(written, tiny)
        results.append(eval(call, {"imgcli": imgcli}))
    classes, out, run, interval, suggestions = results
    assert classes == {"blue": 20, "green": 20, "red": 20} and out == Path("dataset")
    assert (run / "model.json").is_file() and 0 <= interval[0] <= interval[1] <= 1
    assert len(suggestions) <= 1
    assert capsys.readouterr().out == ""
