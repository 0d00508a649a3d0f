"""`imgcli bench` as it is typed."""

from pathlib import Path

import pytest

from imgcli.training import benchmark, peak
from tests.support.photos import write_classes
from tests.support.processor import HAS_BF16
from tests.support.shell import Shell, imgcli

SMALL = ["--arch", "8C3-P2-G", "--image-size", "8", "--quiet"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure over a moment: the figures are not looked at."""
    monkeypatch.setattr(benchmark, "MIN_SECONDS", 0.005)
    monkeypatch.setattr(peak, "ENOUGH", 0.005)


@pytest.mark.parametrize(
    ("choice", "stages"),
    [("--freeze", {"decode", "look", "heads"}), ("--no-freeze", {"decode", "learn", "judge"})],
)
def test_it_foresees_every_stage_of_the_job(
    choice: str, stages: set[str], here: Path, shell: Shell
) -> None:
    write_classes(here / "raw", per_class=4, classes=2)
    found = shell.json("bench", *SMALL, choice)
    assert found["photos"] == 8 and found["precision"] in ("fp32", "bf16")
    seconds = found["seconds"]
    assert seconds.keys() == {*stages, "total"} and min(seconds.values()) > 0
    assert seconds["total"] == pytest.approx(sum(seconds[stage] for stage in stages))
    low, high = found["expected"]
    assert 0 < low <= seconds["total"] <= high
    assert not (here / ".imgcli").exists(), "nothing is kept"


def test_every_rate_has_its_n_and_its_range(here: Path, shell: Shell) -> None:
    write_classes(here / "raw", per_class=4, classes=2)
    found = shell.json("bench", *SMALL)
    assert {"decode", "look_fp32", "heads", "peer"} <= found["rates"].keys()
    for rate in found["rates"].values():
        assert rate["n"] >= 2 and 0 < rate["low"] <= rate["median"] <= rate["high"]
    assert found["decode"] == found["rates"]["decode"]["median"]
    assert found["look"]["fp32"] == found["rates"]["look_fp32"]["median"]
    assert found["peer"].startswith("plain PyTorch: eager, channels_last, ")
    for precision, most in found["peak_gflops"].items():
        used = found["look"][precision] * found["gflops_per_photo"]
        assert found["share_of_peak"][precision] == pytest.approx(used / most)
    assert found["load"].keys() == {"average", "others", "busy"}
    assert "PyTorch" in found["library"] and "Pillow" in found["decoder"]


def test_what_it_prints_names_the_precision_and_the_time(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_classes(here / "photos", per_class=4, classes=2)
    assert imgcli("bench", "photos", *SMALL) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "lowest–" in out and "GFLOP/s in fp32" in out and "plain PyTorch: eager" in out
    assert ("is used," in out) == HAS_BF16
    assert "10 folds on these 8 photos will take about" in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "There is no dataset/ or raw/ here. Name a folder"),
        (["nowhere"], 1, "No file or folder 'nowhere'"),
        (["empty"], 1, "'empty' holds no photo. Name a folder of photos"),
        (["empty", "--folds", "1"], 2, "--folds 1 is too few"),
        (["empty", "--epochs", "3"], 2, "--epochs goes with --no-freeze"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(
    words: list[str], code: int, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    assert imgcli("bench", *words, *SMALL) == code
    assert message in capsys.readouterr().err
