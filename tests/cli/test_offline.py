"""A machine without network, and nothing but what the installation brings."""

from pathlib import Path

import pytest

from tests.support.photos import write_classes
from tests.support.shell import offline

NO_TORCH = "sys.modules['torch'] = None"
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def nothing_cached(here: Path, monkeypatch: Patch) -> None:
    """No weights that this machine has fetched before."""
    monkeypatch.setenv("HF_HOME", str(here / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(here / "hub"))


def test_the_five_commands_need_no_socket(here: Path) -> None:
    write_classes(here / "photos", per_class=13)
    done = offline(
        "import photos --out raw",
        "split raw/ --ratio 0.9",
        "train --freeze",
        "evaluate --folds 10",
        "suggest-merges",
    )
    assert (done.codes, done.sockets) == ([0, 0, 0, 0, 0], []), done.err
    assert "tf_efficientnet_lite2" in done.out and "(n = 36; 10 folds" in done.out
    assert (here / "runs/latest/figures/confusion.png").is_file()


def test_weights_of_the_hub_are_refused_with_the_way_without_it(here: Path) -> None:
    write_classes(here / "dataset/train", per_class=4)
    for arch in ("resnet101", "torchvision/resnet101"):
        # Within a second: torch, which takes longer, is not there to be imported.
        done = offline(f"train --arch {arch} --freeze", first=NO_TORCH)
        assert done.codes == [1] and done.sockets
        (sentence,) = (line for line in done.err.splitlines() if line.startswith("imgcli:"))
        assert "The published weights of" in sentence and "cannot be reached" in sentence
        assert "--arch tf_efficientnet_lite2" in sentence and "--weights FILE" in sentence
        assert not (here / "runs").exists()
