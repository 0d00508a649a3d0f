"""Whatever becomes of `provenance.jsonl`: no photo is placed twice, and no line is lost."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgcli.collect.ingest import Store
from imgcli.provenance import NAME, read
from tests.support.photos import photo
from tests.support.trees import labelled_photo, make_tree, place, tree

PHOTOS = [
    labelled_photo(label, f"{n}.png", photo(n)) for n, label in enumerate(["owl", "owl", "cat"])
]
# Scraped ones; the second line has no newline, as some editors leave it.
CREDIT = {"source": "openverse", "creator": "Ann", "file_url": "https://example.org/1"}


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A store of three photos, in memory where there is such a place: nobody waits for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        place(Path(folder) / "raw", *PHOTOS)
        yield Path(folder) / "raw"


def added(out: Path) -> list[bool]:
    """What placing the same photos once more adds, without waiting for the disk."""
    store = Store(out)
    new = [store.place(one) for one in PHOTOS]
    store.commit()
    return new


def test_one_flipped_bit_anywhere_adds_no_second_copy(out: Path) -> None:
    before, whole = tree(out), (out / NAME).read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position * 5 + position // 8) % 8
        (out / NAME).write_bytes(damaged)
        assert added(out) == [False] * 3, (position, bytes(damaged))
    assert tree(out) == before


def other_digest(lines: list[bytes]) -> list[bytes]:
    """The whole SHA-256 of one photo replaced."""
    return [json.dumps({**json.loads(lines[0]), "sha256": "0" * 64}).encode(), *lines[1:]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines, *lines],
        lambda lines: lines[1:],
        lambda lines: [],
        lambda lines: lines[::-1],
        lambda lines: [b'{"unknown": 1}', b"", *lines, b'{"path": "x", "sha256": "", "size": 0}'],
        lambda lines: [b'{"path": "\\u0000", "sha256": "\\ud800", "size": 1e999}', *lines],
        lambda lines: [*lines[:2], lines[2][:40]],
        lambda lines: [lines[0] + lines[1], lines[2]],
        lambda lines: [line.replace(b'"size": ', b'"size": 1') for line in lines],
        lambda lines: [line.replace(b"owl/", b"o/l/") for line in lines],
        lambda lines: [json.dumps({**json.loads(line), "label": 5}).encode() for line in lines],
        other_digest,
    ],
)
def test_no_damage_adds_a_second_copy(
    out: Path, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    before = tree(out)
    lines = damage((out / NAME).read_bytes().splitlines())
    (out / NAME).write_bytes(b"".join(line + b"\n" for line in lines))
    assert added(out) == [False] * 3
    assert tree(out) == before


def flip(out: Path, path: str, key: str, value: str) -> None:
    """Write another first character into what the line of a photo says."""
    lines = [json.loads(line) for line in (out / NAME).read_bytes().splitlines()]
    changed = [
        {**line, key: value + line[key][1:]} if line["path"] == path else line for line in lines
    ]
    (out / NAME).write_text("".join(json.dumps(line) + "\n" for line in changed))


def test_a_damaged_line_is_written_once_more_with_all_it_says(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, *PHOTOS)
    lines = [{**json.loads(line), **CREDIT} for line in (out / NAME).read_bytes().splitlines()]
    (out / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    flip(out, "owl/1.png", "sha256", "x")
    assert place(out, *PHOTOS) == [False] * 3
    assert list(read(out))[-1] == lines[1]
    assert place(out, *PHOTOS) == [False] * 3
    assert len(list(read(out))) == 4


def test_a_line_that_is_of_another_photo_credits_nobody_for_this_one(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, PHOTOS[0])
    (out / NAME).write_text(json.dumps({**next(read(out)), **CREDIT}) + "\n")
    make_tree(out, {"owl/0.png": photo(9)})  # someone has replaced it
    assert place(out, labelled_photo("owl", "9.png", photo(9))) == [False]
    assert "creator" not in list(read(out))[-1]


def test_a_last_line_without_its_newline_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, *PHOTOS)
    lines = list(read(out))
    (out / NAME).write_bytes((out / NAME).read_bytes().removesuffix(b"\n"))
    place(out, labelled_photo("owl", "5.png", photo(5)))
    assert list(read(out))[:-1] == lines


@pytest.mark.parametrize(
    ("path", "key"), [("owl/1.png", "sha256"), ("owl/1.png", "path"), ("cat/1.png", "sha256")]
)
def test_a_photo_given_another_label_does_not_come_back_by_a_damaged_line(
    tmp_path: Path, path: str, key: str
) -> None:
    out = tmp_path / "raw"
    place(out, *PHOTOS)
    (out / "owl/1.png").rename(out / "cat/1.png")
    line = next(line for line in read(out) if line["path"] == "owl/1.png")
    moved = {**line, "path": "cat/1.png", "label": "cat", "moved_from": "owl/1.png"}
    with open(out / NAME, "a") as file:
        file.write(json.dumps(moved) + "\n")
    flip(out, path, key, "x")
    before = tree(out)
    assert place(out, *PHOTOS) == [False] * 3
    assert tree(out) == before


def test_a_damaged_line_hides_no_photo_from_the_rule_for_two_labels(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, *PHOTOS)
    flip(out, "owl/1.png", "sha256", "x")
    assert Store(out).classes_of(photo(1)) == {"owl"}


def test_a_photo_of_a_damaged_line_can_be_withdrawn(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, *PHOTOS)
    flip(out, "owl/1.png", "sha256", "x")
    store = Store(out)
    store.withdraw("owl/1.png")
    assert store.counts() == {"cat": 1, "owl": 1}
    assert (out / ".rejected/owl/1.png").read_bytes() == photo(1)
