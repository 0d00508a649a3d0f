"""examples/notebook.py, run on a tiny folder as a notebook runs it."""

import re
from pathlib import Path

import pytest

from tests.support.photos import write_classes

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples/notebook.py"
TINY = {  # what makes it short enough for a test
    '{"freeze": True}': '{"arch": "8C3-P2-16", "image_size": 16, "epochs": 2}',
    "FOLDS = 10": "FOLDS = 2",
}


def test_every_cell_of_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "raw", per_class=20)
    code = NOTEBOOK.read_text("utf-8")
    for written, tiny in TINY.items():
        assert code.count(written) == 1
        code = code.replace(written, tiny)
    exec(compile(code, str(NOTEBOOK), "exec"), {"__name__": "__main__"})
    out = capsys.readouterr().out
    assert "probs (48, 3) confusion (3, 3)" in out and r"\begin{tabular}" in out
    (difference,) = re.findall(r"largest difference (\S+)", out)
    assert float(difference) < 1e-5
    assert Path("precision.png").stat().st_size > 10_000
