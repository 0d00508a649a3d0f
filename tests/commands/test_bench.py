"""`imgcli.bench` as a function."""

from pathlib import Path

import pytest

from imgcli.commands.bench import bench
from imgcli.errors import WrongUsage
from imgcli.training import benchmark, peak
from tests.support.photos import write_classes
from tests.support.shell import Printed


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure over a moment: the figures are not looked at."""
    monkeypatch.setattr(benchmark, "MIN_SECONDS", 0.005)
    monkeypatch.setattr(peak, "ENOUGH", 0.005)


def test_it_measures_the_stages_of_cross_validation(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    printed: Printed,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "raw", per_class=4, classes=2)
    result = bench(arch="8C3-P2-G", image_size=8, folds=5)
    assert capsys.readouterr().out == ""
    assert result.speeds.photos == 8 and result.folds == 5
    assert result.seconds.keys() == {"decode", "look", "heads", "total"}
    words = "bench --arch 8C3-P2-G --image-size 8 --folds 5"
    typed = printed(*words.split())
    assert list(typed) == list(result.to_json())
    assert typed["seconds"].keys() == result.seconds.keys()
    assert "total" in repr(result)


def test_mistakes_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUsage, match="There is no dataset/ or raw/ here"):
        bench()
    with pytest.raises(WrongUsage, match="--folds 1 is too few"):
        bench("x", folds=1)
