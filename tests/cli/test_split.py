"""`imgcli split` as it is typed."""

import errno
import json
import os
from pathlib import Path

import pytest

from tests.support.photos import write_classes
from tests.support.shell import imgcli
from tests.support.trees import make_tree


@pytest.fixture
def here(here: Path) -> Path:
    """A folder with raw/ in it: 10 cats and 20 dogs, every file different, none a picture."""
    for label, n in {"cat": 10, "dog": 20}.items():
        make_tree(here / "raw" / label, {f"{i:02d}.jpg": f"{label} {i}".encode() for i in range(n)})
    return here


Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_raw_becomes_dataset_without_another_word(here: Path, capsys: Capture) -> None:
    assert imgcli("split", "--duplicates", "exact") == 0
    out = capsys.readouterr().out
    assert [row.split() for row in out.splitlines() if "cat" in row or "dog" in row][:2] == [
        ["│", "cat", "│", "9", "│", "1", "│", "10", "│"],
        ["│", "dog", "│", "18", "│", "2", "│", "20", "│"],
    ]
    assert "2 classes" in out
    assert "Groups of duplicates kept together: 0." in out
    assert out.rstrip().endswith("Next: imgcli train --freeze")
    assert (here / "dataset/split.json").is_file()


def test_json_is_the_contract_and_nothing_else(here: Path, capsys: Capture) -> None:
    (here / "raw/cat/empty.jpg").touch()
    (here / "raw/owl").mkdir()
    (here / "raw/owl/1.jpg").touch()
    (here / "raw/owl/2.jpg").touch()
    words = ["--ratio", "0.7", "--val", "0.2", "--seed", "4", "--out", "d", "--duplicates", "exact"]
    assert imgcli("split", "raw", *words, "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    rejected = document.pop("rejected")
    assert document == {
        "out": "d",
        "seed": 4,
        "ratio": 0.7,
        "classes": {
            "cat": {"train": 5, "val": 2, "test": 3},
            "dog": {"train": 10, "val": 4, "test": 6},
        },
        "groups_kept_together": 0,
        "groups": 30,
        "grouped_by": [],
        "left_out": {},
    }
    assert [item["path"] for item in rejected] == ["cat/empty.jpg", "owl/1.jpg", "owl/2.jpg"]
    assert all(item.keys() == {"path", "reason"} and item["reason"] for item in rejected)
    assert "Left out" in captured.err


def test_rejected_photos_are_listed_up_to_ten(here: Path, capsys: Capture) -> None:
    for i in range(12):
        (here / f"raw/cat/empty\x1b[31m{i:02d}.jpg").touch()
    assert imgcli("split", "--duplicates", "exact", "--out", "d d") == 0
    out = capsys.readouterr().out
    assert "Rejected, and left in 'raw': 12." in out
    assert out.count("cat/empty\\x1b[31m") == 10
    assert "and 2 more; --json lists all" in out
    assert "Next: imgcli train --freeze --data 'd d'" in out


def test_an_update_says_what_changed(here: Path, capsys: Capture) -> None:
    imgcli("split", "--duplicates", "exact", "--ratio", "0.8", "--seed", "2")
    (here / "raw/cat/new.jpg").write_text("new")
    capsys.readouterr()
    assert imgcli("split", "--update", "--json") == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out)["ratio"], json.loads(captured.out)["seed"]) == (0.8, 2)
    assert captured.err.startswith(
        "Updated: 1 added, 0 dropped that 'raw' no longer holds, 30 left in their parts."
    )


@pytest.mark.parametrize("link", ["auto", "copy", "symlink"])
def test_the_same_split_again_is_said_to_be_there_and_prints_the_same(
    here: Path, capsys: Capture, link: str
) -> None:
    (here / "raw/cat/empty.jpg").touch()
    words = ["split", "--duplicates", "exact", "--link", link, "--json"]
    assert imgcli(*words) == 0
    first = capsys.readouterr()
    before = {path: path.lstat().st_ino for path in (here / "dataset").rglob("*")}
    assert imgcli(*words) == 0
    again = capsys.readouterr()
    assert again.out == first.out and "is this very split already" in again.err
    assert {path: path.lstat().st_ino for path in (here / "dataset").rglob("*")} == before


def test_a_dataset_that_is_not_exactly_this_split_is_refused(here: Path, capsys: Capture) -> None:
    words = ["split", "--duplicates", "exact", "--link", "copy"]

    def is_refused(*more: str) -> bool:
        code = imgcli(*words, *more)
        return code == 1 and "'dataset' exists" in capsys.readouterr().err

    assert imgcli(*words) == 0
    assert is_refused("--seed", "1") and is_refused("--ratio", "0.5") and not is_refused()
    photo = next((here / "dataset/train/cat").iterdir())
    held = photo.read_bytes()
    photo.write_bytes(held[::-1])
    assert is_refused()
    photo.unlink()
    assert is_refused()
    photo.write_bytes(held)
    (here / "dataset/train/cat/mine.jpg").write_text("mine")
    assert is_refused()
    (here / "dataset/train/cat/mine.jpg").unlink()
    assert not is_refused()
    (here / "raw/cat/00.jpg").write_text("changed since")
    assert is_refused()


@pytest.mark.parametrize("how", ["--force", "--update"])
def test_a_photo_edited_in_the_dataset_is_kept_aside(here: Path, capsys: Capture, how: str) -> None:
    assert imgcli("split", "--duplicates", "exact", "--link", "copy") == 0
    photo = next((here / "dataset/train/cat").iterdir())
    photo.write_text("retouched by hand")
    assert imgcli("split", "--duplicates", "exact", how, "--json") == 0
    (aside,) = here.glob("dataset.replaced-*")
    assert (aside / photo.relative_to(here / "dataset")).read_text() == "retouched by hand"
    err = " ".join(capsys.readouterr().err.split())
    assert f"'{aside.name}' beside it" in err and photo.name in err


def test_a_photo_edited_in_raw_through_its_link_keeps_nothing_aside(here: Path) -> None:
    assert imgcli("split", "--duplicates", "exact") == 0
    (here / "raw/cat/00.jpg").write_text("retouched in raw, and so in the dataset")
    assert imgcli("split", "--update") == 0
    assert not list(here.glob("dataset.replaced-*"))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere"], 1, "No folder 'nowhere'."),
        (["--ratio", "1.5"], 2, "--ratio 1.5 is not between 0 and 1"),
        (["--ratio", "0.5", "--val", "0.5"], 2, "--val 0.5 is not between 0 and 0.5"),
        (["--out", "raw/dataset"], 1, "--out 'raw/dataset' is inside 'raw'"),
        (["--update"], 1, "There is nothing to update: no 'dataset/split.json'."),
        (["--update", "--force"], 2, "Use one."),
        (["--out", "taken"], 1, "'taken' exists. Choose another --out"),
        (["raw/cat"], 1, "but no class folders"),
    ],
)
def test_bad_input_gets_one_sentence(
    here: Path, capsys: Capture, words: list[str], code: int, sentence: str
) -> None:
    (here / "taken").mkdir()
    (here / "taken/photo.jpg").write_text("mine")
    assert imgcli("split", "--duplicates", "exact", *words) == code
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.startswith("imgcli: ") and captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (here / "dataset").exists()


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left to write"),
        (KeyboardInterrupt(), 130, ""),  # the sentence is main's
    ],
)
def test_a_full_disk_and_ctrl_c_leave_nothing_half_done(
    here: Path,
    monkeypatch: Patch,
    capsys: Capture,
    error: BaseException,
    code: int,
    sentence: str,
) -> None:
    def link(source: str, target: str, **_: object) -> None:
        raise error

    monkeypatch.setattr(os, "link", link)
    assert imgcli("split", "--duplicates", "exact") == code
    assert sentence in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} - {".imgcli"} == {"raw"}


def test_help_has_two_examples(here: Path, capsys: Capture) -> None:
    assert imgcli("split", "--help") == 0
    out = capsys.readouterr().out
    assert "imgcli split raw/ --ratio 0.9" in out
    assert "imgcli split raw/ --update" in out


def test_max_pixels_counts_for_one_command_and_the_environment_for_all(
    here: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    write_classes(here / "colours", per_class=4)  # of 24 × 24 pixels
    assert imgcli("split", "colours", "--out", "small", "--max-pixels", "575") == 1
    err = capsys.readouterr().err
    assert "24 × 24 are 576 pixels; the limit is 575 (--max-pixels, or" in err
    monkeypatch.setenv("IMGCLI_MAX_PIXELS", "100")
    assert imgcli("split", "colours", "--out", "other") == 1
    assert imgcli("split", "colours", "--out", "other", "--max-pixels", "576") == 0
    monkeypatch.setenv("IMGCLI_MAX_PIXELS", "many")
    assert imgcli("split", "colours", "--out", "third") == 2
