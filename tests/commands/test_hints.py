"""The commands named after a command are ones that this folder accepts."""

import shlex
from pathlib import Path

import pytest

from imgcli.commands.hints import split_command, train_command
from tests.support.photos import write_classes, write_dataset
from tests.support.runs import evaluated_run
from tests.support.shell import Shell, imgcli

NEW = "imgcli train --freeze"


def named(shown: str) -> str:
    """The command after "Next:"."""
    (line,) = (line for line in shown.splitlines() if line.startswith("Next:"))
    return line.partition(":")[2].strip()


@pytest.fixture
def narrow(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "30")
    return here


def test_every_named_command_is_accepted(narrow: Path, shell: Shell) -> None:
    write_classes(narrow / "my photos", per_class=6)
    _, out, _ = shell("import", "my photos", "--out", "my raw photos of the whole year")
    split = named(out)
    assert split == "imgcli split 'my raw photos of the whole year'"
    assert named(shell("check", "my raw photos of the whole year").out) == split
    assert imgcli(*shlex.split(split)[1:]) == 0
    # What was split is brought up to date; dataset/ is not in the way of other photos.
    _, out, _ = shell("check", "my raw photos of the whole year")
    assert named(out) == f"{split} --update"
    assert imgcli(*shlex.split(named(out))[1:]) == 0
    _, out, _ = shell("import", "my photos", "--out", "more photos")
    assert named(out) == "imgcli split 'more photos' --out 'more photos-dataset'"
    code, out, _ = shell(*shlex.split(named(out))[1:])
    assert code == 0 and named(out) == f"{NEW} --data 'more photos-dataset'"
    assert named(shell("check", "more photos-dataset").out) == f"{NEW} --data 'more photos-dataset'"
    assert named(shell("check", "dataset").out) == NEW


def test_a_kept_split_is_trained_on_where_it_is(narrow: Path, shell: Shell) -> None:
    write_dataset(narrow / "given", train=4, test=2)
    _, out, _ = shell("import", "given", "--keep-split", "--out", "my set")
    assert named(out) == f"{NEW} --data 'my set'"
    _, out, _ = shell("merge", "blue+red=x", "my set", "--out", "fewer")
    assert named(out) == f"{NEW} --data fewer"


def test_one_class_alone_is_neither_split_nor_trained(here: Path, shell: Shell) -> None:
    write_classes(here / "photos", per_class=6, classes=1)
    for words in ("import photos", "check raw", "split raw"):
        assert "Next:" not in shell(*words.split()).out


def test_the_options_of_the_newest_run_are_repeated(here: Path) -> None:
    assert train_command(Path("dataset")) == NEW
    evaluated_run(here / "runs", arch="8C3 - P2", lr=0.01, epochs=3)
    assert train_command(Path("dataset")) == NEW  # what was asked is not kept by it
    made = evaluated_run(here / "runs", arch="8C3 - P2")
    made.write_json(
        "config.json",
        {
            **made.read_json("config.json"),
            "asked": ["arch", "lr", "weights"],
            "config": {**made.config.to_json(), "lr": 0.01, "weights": "gone.pth"},
        },
    )
    assert train_command(Path("a b")) == f"{NEW} --data 'a b'"  # its weights are gone
    (here / "gone.pth").touch()
    words = shlex.split(train_command(Path("a b")))
    assert words[:4] == ["imgcli", "train", "--arch", "8C3 - P2"]
    assert words[-2:] == ["--data", "a b"] and "--weights" in words and "--epochs" not in words


def test_a_damaged_dataset_is_not_updated(here: Path) -> None:
    (here / "dataset").mkdir()
    assert split_command(Path("raw")) == "imgcli split raw"  # an empty folder is no obstacle
    (here / "dataset/split.json").write_text("{")
    assert split_command(Path("raw")) == "imgcli split raw --out raw-dataset"
