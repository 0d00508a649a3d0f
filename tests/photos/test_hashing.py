"""Digests are always those of the bytes; the memory of them only saves reading."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from imgcli.image_types import EMPTY
from imgcli.photos import digest_memory, hashing
from imgcli.photos.digest_memory import MEMORY
from imgcli.photos.hashing import digest_files, hash_files, remember
from imgcli.records import Rejected


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def old_file(path: Path, data: bytes, age: float = 60) -> Path:
    """A file last modified `age` seconds ago."""
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are really read, as they are."""
    seen: list[str] = []
    real = os.open

    def spy(path: Any, *options: Any, **more: Any) -> int:
        if "/cache" not in str(path):
            seen.append(path)
        return real(path, *options, **more)

    monkeypatch.setattr(os, "open", spy)
    return seen


def test_digests_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    sizes = [1, 1000, hashing.SMALL, hashing.SMALL + 1, 3 * hashing.SMALL, 7]
    contents = [bytes([i]) * size for i, size in enumerate(sizes)] * 60  # several tasks' worth
    files = [tmp_path / f"{i}.jpg" for i in range(len(contents))]
    for file, data in zip(files[:6], contents[:6], strict=True):
        file.write_bytes(data)
    for i in range(6, len(files)):
        os.link(files[i % 6], files[i])
    assert digest_files(files, tmp_path / "cache") == [sha(data) for data in contents]


def test_an_unchanged_file_is_read_once(tmp_path: Path, reads: list[str]) -> None:
    files = [old_file(tmp_path / f"{i}.jpg", b"photo %d" % i) for i in range(3)]
    first = digest_files(files, tmp_path / "cache")
    assert len(reads) == 3
    assert digest_files(files, tmp_path / "cache") == first
    assert digest_files(files[::-1], tmp_path / "cache") == first[::-1]
    assert len(reads) == 3


@pytest.mark.parametrize("known", [False, True])
def test_sizes_are_those_of_what_was_hashed(tmp_path: Path, known: bool) -> None:
    sizes = [1, 1000, hashing.SMALL + 1]
    files = [old_file(tmp_path / f"{size}.jpg", b"x" * size) for size in sizes]
    if known:
        digest_files(files, tmp_path / "cache")
    files.append(tmp_path / "gone.jpg")
    found = hash_files(files, tmp_path / "cache")
    assert found.sizes.tolist() == [*sizes, 0]
    assert found.digests == digest_files(files, tmp_path / "cache")


def test_relative_and_absolute_paths_are_the_same_file(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = old_file(tmp_path / "a.jpg", b"photo")
    monkeypatch.chdir(tmp_path)
    assert digest_files([file, Path("a.jpg")], tmp_path / "cache") == [sha(b"photo")] * 2
    digest_files([Path("a.jpg")], tmp_path / "cache")
    assert len(reads) <= 2  # both the first time, none the second


def test_a_changed_file_is_read_again_however_its_times_were_set(
    tmp_path: Path, reads: list[str]
) -> None:
    file = old_file(tmp_path / "a.jpg", b"before")
    times = file.stat()
    assert digest_files([file], tmp_path / "cache") == [sha(b"before")]
    file.write_bytes(b"after!")  # as long as before
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest_files([file], tmp_path / "cache") == [sha(b"after!")]
    os.replace(old_file(tmp_path / "b.jpg", b"other!"), file)
    assert digest_files([file], tmp_path / "cache") == [sha(b"other!")]


def test_a_file_modified_just_now_is_not_trusted(tmp_path: Path, reads: list[str]) -> None:
    file = old_file(tmp_path / "a.jpg", b"photo", age=0)
    for _ in range(2):
        assert digest_files([file], tmp_path / "cache") == [sha(b"photo")]
    future = old_file(tmp_path / "b.jpg", b"photo", age=-3600)
    for _ in range(2):
        assert digest_files([future], tmp_path / "cache") == [sha(b"photo")]
    assert len(reads) == 4


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = old_file(tmp_path / "a.jpg", b"photo")
    times = file.stat()
    open_file = os.open

    def changed_first(path: str, flags: int, *mode: int) -> int:
        handle = open_file(path, flags, *mode)
        monkeypatch.setattr(hashing.hashlib, "sha256", changed_then)
        return handle

    def changed_then(data: bytes) -> object:
        monkeypatch.undo()
        old_file(file, b"other")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        return hashlib.sha256(data)

    monkeypatch.setattr(hashing.os, "open", changed_first)
    assert digest_files([file], tmp_path / "cache") == [sha(b"photo")]
    assert digest_files([file], tmp_path / "cache") == [sha(b"other")]


def test_what_is_remembered_of_links_need_not_be_read(tmp_path: Path, reads: list[str]) -> None:
    file, link = old_file(tmp_path / "a.jpg", b"photo"), tmp_path / "b.jpg"
    os.link(file, link)
    remember([file], [sha(b"photo")], time.time_ns(), tmp_path / "cache")
    assert digest_files([str(link), file], tmp_path / "cache") == [sha(b"photo")] * 2
    assert reads == []


def test_what_changed_since_it_was_hashed_is_not_remembered(
    tmp_path: Path, reads: list[str]
) -> None:
    began = time.time_ns() - 10**9
    file = old_file(tmp_path / "a.jpg", b"photo", age=0)
    remember([file], [sha(b"what it was")], began, tmp_path / "cache")
    assert digest_files([file], tmp_path / "cache") == [sha(b"photo")]
    assert len(reads) == 1


def test_a_file_that_is_just_growing_is_hashed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = old_file(tmp_path / "a.jpg", b"begun")
    read_some = os.read

    def grown_meanwhile(handle: int, most: int) -> bytes:
        file.write_bytes(b"begun, and finished")
        return read_some(handle, most)

    monkeypatch.setattr(hashing.os, "read", grown_meanwhile)
    assert digest_files([file], tmp_path / "cache") == [sha(b"begun, and finished")]


def test_what_is_no_file_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    files = [tmp_path / f"{name}.jpg" for name in ("zero", "folder", "pipe")]
    reasons = ("not a regular file", "Is a directory", "not a regular file")
    expected = [
        Rejected(str(file), f"cannot be read: {reason}")
        for file, reason in zip(files, reasons, strict=True)
    ]
    assert digest_files(files, tmp_path / "cache") == expected


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "text", "other"])
def test_a_damaged_memory_is_ignored(tmp_path: Path, damage: str, reads: list[str]) -> None:
    files = [old_file(tmp_path / f"{i}.jpg", b"photo %d" % i) for i in range(50)]
    expected = [sha(b"photo %d" % i) for i in range(50)]
    assert digest_files(files, tmp_path / "cache") == expected
    memory = tmp_path / "cache" / MEMORY
    raw = memory.read_bytes()
    middle = len(raw) // 2
    memory.write_bytes(
        {
            "cut": raw[:middle],
            "flipped": bytes(byte ^ 1 for byte in raw),
            "emptied": b"",
            "text": b"{}",
            "other": b"PK\x05\x06" + bytes(18),  # a zip of nothing
        }[damage]
    )
    assert digest_files(files, tmp_path / "cache") == expected
    assert len(reads) == 100
    assert digest_files(files, tmp_path / "cache") == expected
    assert len(reads) == 100  # and it was begun again


def test_a_file_that_was_moved_is_not_read_again(tmp_path: Path, reads: list[str]) -> None:
    file = old_file(tmp_path / "a.jpg", b"photo")
    os.utime(file, ns=(0, 10**18))
    digest_files([file], tmp_path / "cache")
    file.parent.rename(tmp_path.with_name("moved"))
    moved = tmp_path.with_name("moved")
    assert digest_files([moved / "a.jpg"], moved / "cache") == [sha(b"photo")]
    assert len(reads) == 1


def test_processes_share_it(tmp_path: Path, reads: list[str]) -> None:
    files = [old_file(tmp_path / f"{i}.jpg", b"%d" % i) for i in range(2)]
    with digest_memory.digest_memory(tmp_path / "cache") as first:
        digest_files(files[:1], tmp_path / "cache")
        first.add({digest_memory.file_key(files[1].stat()): hashlib.sha256(b"1").digest()})
    assert digest_files(files, tmp_path / "cache") == [sha(b"0"), sha(b"1")]
    assert len(reads) == 1


def test_without_a_cache_that_can_be_written_files_are_hashed_again(
    tmp_path: Path, reads: list[str]
) -> None:
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    file = old_file(tmp_path / "a.jpg", b"photo")
    for _ in range(2):
        assert digest_files([file], tmp_path / "cache" / "below") == [sha(b"photo")]
    assert len(reads) == 2


def test_the_oldest_are_forgotten_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    monkeypatch.setattr(digest_memory, "MAX_FILES", 3)
    files = [old_file(tmp_path / f"{i}.jpg", b"%d" % i) for i in range(5)]
    for file in files:
        digest_files([file], tmp_path / "cache")
    reads.clear()
    digest_files(files[2:], tmp_path / "cache")
    assert reads == []
    digest_files(files[:2], tmp_path / "cache")
    assert len(reads) == 2


def test_what_cannot_be_read_is_rejected_with_the_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    good = old_file(tmp_path / "good.jpg", b"photo")
    names = ["gone.jpg", "pipe.jpg", "empty.jpg", ".", "good.jpg"]
    assert digest_files([tmp_path / name for name in names], tmp_path / "cache") == [
        Rejected(str(tmp_path / "gone.jpg"), "cannot be read: No such file or directory"),
        Rejected(str(tmp_path / "pipe.jpg"), "cannot be read: not a regular file"),
        Rejected(str(tmp_path / "empty.jpg"), EMPTY),
        Rejected(str(tmp_path), "cannot be read: Is a directory"),
        sha(good.read_bytes()),
    ]
    assert digest_files([], tmp_path / "cache") == []


def test_names_need_not_be_text(tmp_path: Path) -> None:
    file = old_file(tmp_path / os.fsdecode(b"\xff\n\xe9.jpg"), b"photo")
    assert digest_files([file], tmp_path / "cache") == [sha(b"photo")]
    assert digest_files([file], tmp_path / "cache") == [sha(b"photo")]


def test_an_interrupted_pass_keeps_what_it_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    files = [old_file(tmp_path / f"{i}.jpg", b"%d" % i) for i in range(4 * hashing.CHUNK)]
    real = os.open

    def ctrl_c(path: Any, *options: Any, **more: Any) -> int:
        if str(path).endswith(f"/{2 * hashing.CHUNK}.jpg"):
            raise KeyboardInterrupt
        return real(path, *options, **more)

    monkeypatch.setattr(os, "open", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        digest_files(files, tmp_path / "cache")
    reads.clear()
    digest_files(files[: 2 * hashing.CHUNK], tmp_path / "cache")
    assert reads == []
