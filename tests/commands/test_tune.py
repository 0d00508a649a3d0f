"""`imgcli.tune` as a function."""

from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.tune import tune
from imgcli.errors import WrongUsage
from tests.support.photos import write_dataset
from tests.support.shell import Printed, as_printed

FIXED: dict[str, Any] = {
    "image_size": 8,
    "epochs": 1,
    "augment": "none",
    "precision": "fp32",
    "device": "cpu",
    "trials": 2,
    "folds": 2,
}
TYPED = (
    "tune --arch 4C3S2-{4,8} --image-size 8 --epochs 1 --augment none --precision fp32 "
    "--device cpu --trials 2 --folds 2 --search batch-size=4..8 --name sizes"
)


def test_a_search_ends_with_the_config_of_its_best(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    printed: Printed,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", train=6, test=2, classes=2)
    result = tune("4C3S2-{4,8}", search={"batch_size": "4..8"}, name="sizes", **FIXED)
    captured = capsys.readouterr()
    assert captured.out == "" and "Searching batch-size: 4..8:linear" in captured.err
    assert len(result.trials) == 2 and result.folder == Path("runs/tune-sizes")
    for name, value in result.best["choices"].items():
        assert result.config.get(name) == value
    assert all((result.folder / file).is_file() for file in result.files)
    assert result.command in repr(result)
    # The same search, which is finished already.
    assert as_printed(result.to_json()) == printed(*TYPED.split())


def test_mistakes_are_sentences() -> None:
    with pytest.raises(TypeError, match="did you mean 'batch_size'"):
        tune("x", batchsize=3)
    with pytest.raises(WrongUsage, match="must be a name for a folder"):
        tune("8C3-8", name="a/b")
    with pytest.raises(WrongUsage, match="--track-test does not go with tune"):
        tune("8C3-8", track_test=True)
