"""`imgcli.write_report`: a frozen result, the document of --json, nothing printed."""

from pathlib import Path

import pytest

import imgcli
from tests.support.predictions import photo_predictions
from tests.support.runs import reported_run


def test_a_report_names_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = reported_run(Path(), photo_predictions(((6, 2), (1, 7)), folds=2))
    result = imgcli.write_report(out="page.html")
    assert result.report == Path("page.html") and result.bytes == result.report.stat().st_size
    assert [one.command for one in result.missing] == [
        f"imgcli evaluate --run {made.folder.name}",
        f"imgcli report --run {made.folder.name} --data FOLDER",
    ]
    assert result.to_json()["missing"][0]["what"].startswith("the score on the sealed test part")
    assert "page.html" in repr(result) and "page.html" in result._repr_html_()
    assert capsys.readouterr() == ("", "")


def test_figures_are_stored_again_only_when_they_show_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = reported_run(Path(), photo_predictions(((6, 2), (1, 7)), folds=2))
    figures = imgcli.write_report().figures
    first = [file.stat().st_ino for file in figures]  # a new file has another
    assert imgcli.write_report().figures == figures
    assert [file.stat().st_ino for file in figures] == first
    made.save_folds([photo_predictions(((5, 3), (1, 7)), folds=2)])
    imgcli.write_report()
    assert figures[0].stat().st_ino != first[0]
