"""`imgcli cache` as it is typed."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.photos.row_cache import RowStore
from tests.support.shell import Shell, imgcli

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
CACHE = Path(".imgcli/cache")


@pytest.fixture
def cache(here: Path) -> Path:
    """A workspace whose cache holds features, used today, and pixels, used 40 days ago."""
    keep("features/f", np.ones((3, 100), np.float32), "resnet101 at 224 pixels, bf16")
    keep("pixels/p", np.ones((2, 1000, 1000, 3), np.uint8), "64 × 64, squashed")
    for file in (CACHE / "pixels/p").iterdir():
        then = file.stat().st_mtime - 40 * 86_400
        os.utime(file, (then, then))
    return here


def keep(name: str, rows: np.ndarray, about: str) -> None:
    store = RowStore(CACHE / name, rows.shape[1:], rows.dtype.name, about=about)
    store.append([f"{i:064x}" for i in range(len(rows))], rows)


def test_it_shows_what_there_is_for_people(cache: Path, capsys: Capture) -> None:
    assert imgcli("cache") == 0
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines() if line.strip()]
    assert "frozen features resnet101 at 224 pixels, bf16 3 0.0 MB today".split() in rows
    assert "decoded pixels 64 × 64, squashed 2 6.0 MB 40 days ago".split() in rows
    assert "2 in all 6.0 MB".split() in rows
    assert "imgcli cache --prune" in captured.out
    assert captured.err == ""


def test_an_empty_cache_is_said_to_be(here: Path, capsys: Capture) -> None:
    assert imgcli("cache") == 0
    assert capsys.readouterr().out == "The cache is empty.\n"
    assert not (here / ".imgcli").exists()


def test_json_is_the_contract_and_nothing_else(cache: Path, shell: Shell) -> None:
    document = shell.json("cache")
    stores = document["stores"]
    assert isinstance(stores, list)
    assert document == {
        "cache": ".imgcli/cache",
        "stores": stores,
        "bytes": sum(one["bytes"] for one in stores),
        "removed": [],
        "freed": 0,
        "left": [],
    }
    features = stores[0]
    assert features.pop("last_used").endswith("+00:00")
    assert features == {
        "kind": "features",
        "path": ".imgcli/cache/features/f",
        "about": "resnet101 at 224 pixels, bf16",
        "rows": 3,
        "bytes": sum(file.stat().st_size for file in (CACHE / "features/f").iterdir()),
        "state": "current",
    }


def test_pruning_removes_what_was_not_used_for_a_month(cache: Path, capsys: Capture) -> None:
    assert imgcli("cache", "--prune") == 0
    out = capsys.readouterr().out
    assert "Removed 1 entry, freed 6.0 MB." in out and "decoded pixels" not in out
    assert os.listdir(CACHE) == ["features"]


@pytest.mark.parametrize(
    ("words", "remain"),
    [
        (["--prune", "--older-than", "41"], ["features", "pixels"]),
        (["--prune", "--older-than", "0"], []),
        (["--clear"], []),
        (["--clear", "--kind", "features"], ["pixels"]),
        (["--prune", "--kind", "features"], ["features", "pixels"]),
    ],
)
def test_what_is_removed_can_be_chosen(
    cache: Path, words: list[str], remain: list[str], shell: Shell
) -> None:
    before = shell.json("cache")
    document = shell.json("cache", *words)
    assert sorted(os.listdir(CACHE)) == remain
    removed = document["removed"]
    assert isinstance(removed, list) and len(removed) == 2 - len(remain)
    assert document["freed"] == sum(one["bytes"] for one in removed)
    assert shell.json("cache")["bytes"] == before["bytes"] - document["freed"]


def test_what_is_in_use_is_left_and_said(cache: Path, capsys: Capture, shell: Shell) -> None:
    user = RowStore(CACHE / "pixels/p", (1000, 1000, 3), "uint8")
    assert shell.json("cache", "--clear")["left"] == [
        {"path": ".imgcli/cache/pixels/p", "reason": "in use by another imgcli"}
    ]
    assert imgcli("cache", "--clear") == 0
    assert "Left .imgcli/cache/pixels/p: in use by another imgcli." in capsys.readouterr().out
    del user
    assert shell.json("cache", "--clear")["left"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prune", "--clear"], "give one of them"),
        (["--older-than", "3"], "--older-than 3 goes with --prune"),
        (["--prune", "--older-than", "-1"], "-1 is not a number of days from 0 to 36,500"),
        (["--prune", "--older-than", "nan"], "nan is not a number of days"),
        (["--prune", "--older-than", "inf"], "inf is not a number of days"),
    ],
)
def test_options_that_cannot_be_meant(
    cache: Path, capsys: Capture, words: list[str], said: str
) -> None:
    assert imgcli("cache", *words) == 2
    assert said in capsys.readouterr().err
    assert sorted(os.listdir(CACHE)) == ["features", "pixels"]


def test_a_name_with_control_characters_does_not_reach_the_terminal(
    cache: Path, capsys: Capture
) -> None:
    (CACHE / "pixels/a\x1b[2Jb[red]").mkdir()
    keep("features/g", np.ones((1, 2), np.uint8), "\x1b[2J[bold]")
    assert imgcli("cache") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "[bold]" in out


def test_a_file_where_the_cache_should_be_is_a_sentence(here: Path, capsys: Capture) -> None:
    (here / ".imgcli").mkdir()
    (here / ".imgcli/cache").write_bytes(b"")
    assert imgcli("cache") == 1
    assert "'.imgcli/cache': Not a directory" in capsys.readouterr().err


def test_pruning_leaves_what_this_version_has_just_made(here: Path, shell: Shell) -> None:
    """The names of the stores and the versions that pruning looks for belong together."""
    for i in range(6):
        photo = here / f"raw/{'cat' if i % 2 else 'dog'}/{i}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((256, 240), 20 + 30 * i).convert("RGB").save(photo)
    assert imgcli("split", "raw", "--ratio", "0.5", "--quiet") == 0
    document = shell.json("cache", "--prune")
    assert document["removed"] == document["left"] == []
    stores = document["stores"]
    assert isinstance(stores, list)
    assert "sketches" in {one["kind"] for one in stores}
    assert {one["state"] for one in stores} == {"current"}
