"""`imgcli.compare`: a frozen result, the document of --json, nothing printed."""

import json
from pathlib import Path

import pytest

import imgcli
from imgcli import progress
from imgcli.errors import WrongUsage
from tests.support.runs import evaluated_run, judged


def test_two_runs_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [
        evaluated_run(Path("runs"), judged(n, k=3), dropout=n / 100).folder.name for n in (12, 0)
    ]
    with progress.quietly(True):
        result = imgcli.compare(names)
    assert result.best == f"runs/{names[1]}" and result.difference == pytest.approx(0.2)
    assert result.p_value < 0.05 and result.paired_on == 60
    assert Path("runs/comparison/boxes.png") in result.files
    stored = Path("runs/comparison/comparison.json").read_text()
    assert json.loads(stored) == json.loads(json.dumps(result.to_json()))
    assert "+20.0 points" in repr(result) and "+20.0 points" in result._repr_html_()
    assert capsys.readouterr() == ("", "")
    with pytest.raises(WrongUsage, match="has nothing to be compared with"):
        imgcli.compare(names[:1])
