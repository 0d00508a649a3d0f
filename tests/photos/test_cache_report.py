"""What is in the cache is told truly, and nothing else is ever removed."""

import fcntl
import json
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.photos import cache_report, decode, fingerprint, row_cache
from imgcli.photos.hashing import digest_files
from imgcli.photos.row_cache import RowStore
from tests.support.rows import SHAPE, block, filled, held, keys, opened

MONTH = timedelta(days=30)


def make_old(folder: Path, days: float = 40) -> None:
    """As if it had last been used so long ago."""
    for path in (folder, *folder.iterdir()):
        then = path.stat().st_mtime - days * 86_400
        os.utime(path, (then, then))


def names(stored: list[cache_report.Stored], root: Path) -> list[str]:
    return [str(one.path.relative_to(root)) for one in stored]


def prune(root: Path, unused_for: timedelta = MONTH) -> list[str]:
    return names(
        cache_report.remove(cache_report.unneeded(cache_report.contents(root), unused_for)).removed,
        root,
    )


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_no_cache_holds_nothing(tmp_path: Path) -> None:
    assert cache_report.contents(tmp_path / "none") == []
    assert cache_report.contents(tmp_path) == []


def test_what_there_is_is_told_by_kind(tmp_path: Path) -> None:
    RowStore(tmp_path / "pixels/p-v9", SHAPE, "uint8", about="3 × 2, squashed").append(
        keys(1, 2), block(1, 2)
    )
    RowStore(tmp_path / "features/f", (4,), "float32").append(keys(1), np.ones((1, 4), np.float32))
    (tmp_path / "digests.sqlite").write_bytes(b"12345")
    (tmp_path / "readme").write_text("someone's own")
    digests, features, pixels = cache_report.contents(tmp_path)
    assert (digests.kind, digests.rows, digests.size) == ("digests", None, 5)
    assert (features.kind, features.about, features.rows) == ("features", "f", 1)
    assert (pixels.kind, pixels.about, pixels.rows) == ("pixels", "3 × 2, squashed", 2)
    for one in (features, pixels):
        assert one.size == sum(file.stat().st_size for file in one.path.iterdir())
    assert [one.state for one in (digests, features, pixels)] == [
        *("current", "current", "other-version")
    ]


def test_a_store_that_is_opened_was_used_and_one_that_is_listed_was_not(tmp_path: Path) -> None:
    filled(tmp_path / "pixels/a", 1)
    filled(tmp_path / "pixels/b", 1)
    make_old(tmp_path / "pixels/a")
    make_old(tmp_path / "pixels/b")
    assert held(opened(tmp_path / "pixels/b")) == [1]
    assert names(cache_report.unneeded(cache_report.contents(tmp_path), MONTH), tmp_path) == [
        "pixels/a"
    ]
    assert names(cache_report.unneeded(cache_report.contents(tmp_path), 2 * MONTH), tmp_path) == []


def test_pruning_takes_the_old_the_damaged_and_what_another_version_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / f"pixels/fresh-v{decode.VERSION}", 1)
    filled(tmp_path / "pixels/old", 1)
    make_old(tmp_path / "pixels/old")
    filled(tmp_path / "pixels/224-v999", 1)
    filled(tmp_path / f"sketches/v0-decode{decode.VERSION}", 1)
    filled(tmp_path / f"sketches/v{fingerprint.VERSION}-by-decode0", 1)
    filled(tmp_path / f"groups/v{fingerprint.VERSION}-search0-00", 1)
    filled(tmp_path / "features/damaged", 1)
    (tmp_path / "features/damaged/meta.json").write_text("{")
    (tmp_path / "features/empty").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(row_cache, "VERSION", 1)
        filled(tmp_path / "features/before", 1)
    assert prune(tmp_path) == [
        *("features/before", "features/damaged", "features/empty"),
        f"groups/v{fingerprint.VERSION}-search0-00",
        *("pixels/224-v999", "pixels/old"),
        f"sketches/v0-decode{decode.VERSION}",
        f"sketches/v{fingerprint.VERSION}-by-decode0",
    ]
    assert os.listdir(tmp_path) == ["pixels"] and [
        path.name for path in (tmp_path / "pixels").iterdir()
    ] == [f"fresh-v{decode.VERSION}"]
    assert held(opened(tmp_path / f"pixels/fresh-v{decode.VERSION}")) == [1]


@pytest.mark.parametrize("mode", ["reads", "writes"])
def test_what_is_in_use_is_left_and_said(tmp_path: Path, mode: str) -> None:
    user = filled(tmp_path / "pixels/used", 1, 2)
    filled(tmp_path / "pixels/free", 1)
    lock = open(tmp_path / "pixels/used/lock")
    if mode == "writes":
        del user
        fcntl.flock(lock, fcntl.LOCK_EX)
    emptied = cache_report.remove(cache_report.contents(tmp_path))
    lock.close()
    assert names(emptied.removed, tmp_path) == ["pixels/free"]
    assert [(one.path.name, why) for one, why in emptied.left] == [
        ("used", "in use by another imgcli")
    ]
    assert emptied.freed == emptied.removed[0].size > 0
    assert held(opened(tmp_path / "pixels/used")) == [1, 2]


def test_a_file_being_written_is_left_and_one_given_up_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".imgcli-1-0.tmp").write_bytes(b"1")
    assert prune(tmp_path) == []
    os.utime(tmp_path / ".imgcli-1-0.tmp", (1e9, 1e9))
    assert prune(tmp_path) == [".imgcli-1-0.tmp"]


def test_no_link_is_followed_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "cache"
    filled(outside / "store", 1)
    (outside / "photo.jpg").write_bytes(b"precious")
    filled(root / "pixels/mixed", 1)
    filled(root / "pixels/plain", 1)
    filled(root / "pixels/linked", 1)
    (root / "pixels/mixed/notes.txt").write_text("someone's own")
    (root / "photos/cat").mkdir(parents=True)
    (root / "photos/cat/1.jpg").write_bytes(b"precious")
    (root / "pixels/away").symlink_to(outside / "store")
    (root / "sketches").symlink_to(outside)
    (root / "digests.sqlite").symlink_to(outside / "photo.jpg")
    for name in ("rows.bin", "lock"):
        (root / "pixels/linked" / name).unlink()
        (root / "pixels/linked" / name).symlink_to(outside / "photo.jpg")
    before = everything(outside)
    emptied = cache_report.remove(cache_report.contents(root))
    assert names(emptied.removed, root) == ["pixels/linked", "pixels/plain"]
    assert [(one.path.name, why) for one, why in emptied.left] == [("mixed", "Directory not empty")]
    assert everything(outside) == before
    assert (outside / "photo.jpg").read_bytes() == b"precious"
    assert held(opened(outside / "store")) == [1]
    assert everything(root) == [
        *("digests.sqlite", "photos", "photos/cat", "photos/cat/1.jpg"),
        *("pixels", "pixels/away", "pixels/mixed", "pixels/mixed/notes.txt", "sketches"),
    ]


def test_a_cache_that_is_elsewhere_is_emptied_there(tmp_path: Path) -> None:
    filled(tmp_path / "disk/pixels/a", 1)
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    assert prune(tmp_path / "cache", timedelta()) == ["pixels/a"]
    assert everything(tmp_path / "disk") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["version", "about"]), inner),
)


@given(meta=JSON)
def test_whatever_a_store_says_of_itself_can_be_listed_and_removed(
    tmp_path_factory: pytest.TempPathFactory, meta: object
) -> None:
    root = tmp_path_factory.mktemp("cache")
    filled(root / "pixels/a", 1)
    (root / "pixels/a/meta.json").write_text(json.dumps(meta))
    (one,) = cache_report.contents(root)
    assert isinstance(one.about, str) and one.state in ("other-version", "damaged")
    assert prune(root) == ["pixels/a"]


@pytest.mark.parametrize("name", ["meta.json", "rows.bin", "index.bin", "lock"])
def test_a_folder_where_a_file_should_be_is_left_and_said(tmp_path: Path, name: str) -> None:
    filled(tmp_path / "pixels/a", 1)
    (tmp_path / "pixels/a" / name).unlink()
    (tmp_path / "pixels/a" / name / "own").mkdir(parents=True)
    emptied = cache_report.remove(cache_report.contents(tmp_path))
    assert emptied.removed == [] and len(emptied.left) == 1
    assert (tmp_path / "pixels/a" / name / "own").is_dir()


def test_no_damage_to_the_memory_of_hashes_gives_a_wrong_one(tmp_path: Path) -> None:
    """Bytes flipped, and cut at many places: the files are hashed again, no more."""
    photos = [tmp_path / f"{i}.jpg" for i in range(3)]
    for i, photo in enumerate(photos):
        photo.write_text(str(i))
        os.utime(photo, (1e9, 1e9))  # long enough ago to be remembered
    right = digest_files(photos, tmp_path)
    memory = tmp_path / "digests.sqlite"
    raw = memory.read_bytes()
    cut = [raw[:place] for place in range(0, len(raw), 1000)]
    written = [i for i, byte in enumerate(raw) if byte]  # its pages are mostly empty
    flipped = [raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :] for i in written]
    for spoilt in cut + flipped:
        memory.write_bytes(spoilt)
        assert digest_files(photos, tmp_path) == right
