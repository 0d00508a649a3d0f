"""What a check finds, on folders that a person could count."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from imgcli import provenance
from imgcli.errors import DataError
from imgcli.photos import decode, quality
from imgcli.photos.check import KINDS, Checked, check_folder, moves
from imgcli.photos.split import split_folder
from tests.support.photos import jpeg, make_photo, png, write_cats_and_dogs


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twelve different photos in two classes."""
    return write_cats_and_dogs(tmp_path / "raw")


def checked(root: Path) -> Checked:
    return check_folder(root, root.parent / "cache")


def kinds(found: Checked) -> dict[str, list[str | None]]:
    by_kind: dict[str, list[str | None]] = {}
    for issue in found.issues:
        by_kind.setdefault(issue.kind, []).append(issue.path or issue.label)
    return by_kind


def test_of_good_photos_nothing_is_said(raw: Path) -> None:
    found = checked(raw)
    assert found.classes == {"cat": 6, "dog": 6} and found.files == 12
    assert found.unreadable == found.duplicates == found.near_duplicates == found.conflicts == []
    assert found.issues == [] and set(found.metadata.values()) == {0}


def test_what_gives_no_picture_is_listed_with_stage_and_reason(raw: Path) -> None:
    whole = (raw / "cat/0.jpg").read_bytes()
    (raw / "cat/cut.jpg").write_bytes(whole[:2000])
    (raw / "cat/page.jpg").write_text("<!doctype html>")
    (raw / "cat/empty.jpg").touch()
    (raw / "cat/notes.txt").touch()
    found = checked(raw)
    assert [(item.path, item.stage) for item in found.unreadable] == [
        ("cat/cut.jpg", "decode"),
        ("cat/empty.jpg", "read"),
        ("cat/page.jpg", "identify"),
    ]
    assert "HTML page" in found.unreadable[2].reason
    assert kinds(found) == {"not-used": ["cat/notes.txt"]}
    assert found.classes == {"cat": 6, "dog": 6} and found.files == 15


def test_copies_are_grouped_with_the_largest_first_and_their_distance(raw: Path) -> None:
    photo = make_photo(0)
    (raw / "cat/copy.jpg").write_bytes((raw / "cat/1.jpg").read_bytes())
    (raw / "cat/large.jpg").write_bytes(jpeg(photo.resize((320, 240))))
    (raw / "cat/mirror.jpg").write_bytes(jpeg(ImageOps.mirror(photo), 40))
    found = checked(raw)
    assert [group.paths for group in found.duplicates] == [("cat/1.jpg", "cat/copy.jpg")]
    (near,) = found.near_duplicates
    assert near.paths == ("cat/large.jpg", "cat/0.jpg", "cat/mirror.jpg")
    assert near.distances[0] == 0 and all(0 < d < 0.28 for d in near.distances[1:])
    assert found.conflicts == []


def test_one_photo_in_two_classes_is_a_conflict_and_three_are_a_placeholder(raw: Path) -> None:
    (raw / "dog/cat.jpg").write_bytes(jpeg(make_photo(0), 60))
    found = checked(raw)
    (conflict,) = found.conflicts
    assert (conflict.kind, conflict.names) == ("classes", ("cat", "dog"))
    assert sorted(conflict.paths) == ["cat/0.jpg", "dog/cat.jpg"]
    assert "placeholder" not in kinds(found)
    (raw / "dog/again.jpg").write_bytes(jpeg(make_photo(0), 70))
    assert len(kinds(checked(raw))["placeholder"]) == 1


def with_edges(seed: int) -> Image.Image:
    photo = make_photo(seed, (300, 200))
    ImageDraw.Draw(photo).rectangle((50, 50, 200, 150), outline="white", width=6)
    return photo


ODD: dict[str, Callable[[], bytes]] = {
    "tiny": lambda: png(make_photo(50, (20, 16))),
    "blank": lambda: png(Image.new("RGB", (160, 120), "white")),
    "dark": lambda: jpeg(ImageEnhance.Brightness(make_photo(51)).enhance(0.15)),
    "blurred": lambda: jpeg(with_edges(52).filter(ImageFilter.GaussianBlur(8)), 95),
    "shape": lambda: jpeg(make_photo(53, (800, 120))),
}


@pytest.mark.parametrize("kind", ODD)
def test_each_quality_issue_is_found_and_confused_with_no_other(kind: str, raw: Path) -> None:
    (raw / "cat/odd.JPG").write_bytes(ODD[kind]())
    expected = {kind: ["cat/odd.JPG"]}
    if kind in ("tiny", "blank"):
        expected["extension"] = ["cat/odd.JPG"]  # they are PNG
    assert kinds(checked(raw)) == expected


def without_edges(seed: int) -> bytes:
    """As a photo under a microscope: its edges are soft and it is as sharp as it can be."""
    return jpeg(with_edges(seed).filter(ImageFilter.GaussianBlur(8)), 95)


def test_what_many_photos_of_a_class_are_is_no_outlier(raw: Path) -> None:
    (raw / "cells").mkdir()
    for i in range(12):
        (raw / f"cells/{i}.jpg").write_bytes(without_edges(100 + i))
    for i in range(120):
        (raw / f"dog/sharp{i}.jpg").write_bytes(jpeg(with_edges(200 + i)))
    found = checked(raw)
    (issue,) = [issue for issue in found.issues if issue.kind == "blurred"]
    assert issue.label == "cells" and issue.path is None
    assert issue.detail.startswith("12 of 12 photos are without a sharp edge; the class is like")
    assert moves(found, ["blurred"]) == []


def test_what_a_tenth_of_all_photos_are_is_no_outlier(raw: Path) -> None:
    for i in range(5):
        (raw / f"cat/soft{i}.jpg").write_bytes(without_edges(100 + i))
        (raw / f"dog/soft{i}.jpg").write_bytes(without_edges(300 + i))
    (raw / "dog/dark.jpg").write_bytes(ODD["dark"]())
    found = checked(raw)
    said = {issue.kind: issue for issue in found.issues}
    assert said["blurred"].path is None and said["blurred"].label is None
    assert f"10 of {len(found.places)} photos are without a sharp edge." in said["blurred"].detail
    assert [move.path for move in moves(found, ["blurred", "dark"])] == ["dog/dark.jpg"]


def test_a_photo_is_blurred_beside_its_class() -> None:
    rng = np.random.default_rng(0)
    soft, sharp = np.exp(rng.normal(np.log([[0.3], [0.6]]), [[0.3], [0.15]], (2, 200)))
    sharpness = np.concatenate([soft, sharp, [0.2, 0.2, 0.1, np.nan]])
    classes = np.array([0] * 200 + [1] * 200 + [0, 1, 2, 2])
    softer = quality.softer_than_its_class(sharpness, classes)
    assert softer[-4:].tolist() == [False, True, True, False]  # the third by all photos
    assert softer[:400].mean() < 0.02


def test_of_small_pictures_none_is_tiny(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "raw" / label).mkdir(parents=True)
        for i in range(6):
            photo = png(make_photo(ord(label) + 10 * i, (28, 28)))
            (tmp_path / "raw" / label / f"{i}.png").write_bytes(photo)
    assert checked(tmp_path / "raw").issues == []


def test_what_tells_classes_apart_is_told(raw: Path) -> None:
    for file in (raw / "dog").iterdir():
        file.write_bytes(png(Image.open(file)))
        file.rename(file.with_suffix(".png"))
    assert [issue.kind for issue in checked(raw).issues] == ["class-format"]


def test_the_source_is_told_too_and_changed_photos_are_named(raw: Path) -> None:
    lines = []
    for file in sorted(raw.glob("*/*.jpg")):
        label, data = file.parent.name, file.read_bytes()
        is_changed = file.name == "0.jpg" and label == "cat"
        entry = {
            "path": f"{label}/{file.name}",
            "sha256": "0" * 64 if is_changed else hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "source": "flickr" if label == "cat" else "openverse",
        }
        lines.append(json.dumps(entry) + "\n")
    (raw / provenance.NAME).write_text("".join(lines))
    found = checked(raw)
    assert kinds(found) == {"changed": ["cat/0.jpg"], "class-source": [None]}


def test_small_and_emptied_classes_are_named(raw: Path) -> None:
    for i in range(1, 6):
        (raw / f"dog/{i}.jpg").unlink()
    (raw / "owl").mkdir()
    (raw / "owl/broken.jpg").write_text("no photo")
    found = checked(raw)
    assert kinds(found)["balance"] == ["dog", "owl"]
    assert found.classes == {"cat": 6, "dog": 1}


# --- datasets -----------------------------------------------------------------------------------


def test_a_photo_in_train_and_test_is_a_conflict(raw: Path) -> None:
    (raw / "cat/copy.jpg").write_bytes(jpeg(make_photo(0), 50))
    data = raw.parent / "data"
    for part, names in (("train", "0 1 2 3"), ("valid", "4"), ("test", "5 copy")):
        for label in ("cat", "dog"):
            (data / part / label).mkdir(parents=True)
            for name in names.split():
                if (raw / label / f"{name}.jpg").exists():
                    os.link(raw / label / f"{name}.jpg", data / part / label / f"{name}.jpg")
    found = checked(data)
    assert found.classes == {"cat": 7, "dog": 6}
    (conflict,) = found.conflicts
    assert (conflict.kind, conflict.names) == ("parts", ("test", "train"))
    assert [move.path for move in moves(found, ["conflicts"])] == ["train/cat/0.jpg"]


def test_of_a_split_the_manifest_is_believed(raw: Path) -> None:
    out = raw.parent / "dataset"
    split_folder(raw, out, link="copy", cache=raw.parent / "cache")
    gone, other = sorted(out.glob("train/*/*.jpg"))[:2]
    gone.unlink()
    other.write_bytes(jpeg(make_photo(99)))
    found = kinds(checked(out))
    assert found["missing"] == [str(gone.relative_to(out))]
    assert found["changed"] == [str(other.relative_to(out))]


def test_a_class_called_train_is_a_class(raw: Path) -> None:
    (raw / "dog").rename(raw / "train")
    assert checked(raw).classes == {"cat": 6, "train": 6}


def test_a_check_after_a_split_decodes_nothing(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split_folder(raw, raw.parent / "dataset", cache=raw.parent / "cache")

    def refuse(*words: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(decode, "decode", refuse)
    monkeypatch.setattr("imgcli.photos.pipeline.decode_picture", refuse)
    assert checked(raw).classes == {"cat": 6, "dog": 6}
    assert checked(raw.parent / "dataset").classes == {"cat": 6, "dog": 6}


def test_a_folder_of_nothing_that_can_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "raw/cat").mkdir(parents=True)
    (tmp_path / "raw/cat/a.jpg").write_text("no photo")
    found = checked(tmp_path / "raw")
    assert (found.classes, len(found.unreadable), kinds(found)) == ({}, 1, {})


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No folder"):
        checked(tmp_path / "raw")
    (tmp_path / "data/train/cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no photos in train"):
        checked(tmp_path / "data")


# --- what is taken out --------------------------------------------------------------------------


def test_of_duplicates_one_per_class_stays(raw: Path) -> None:
    (raw / "cat/copy.jpg").write_bytes((raw / "cat/0.jpg").read_bytes())
    (raw / "cat/small.jpg").write_bytes(jpeg(make_photo(0).resize((80, 60))))
    (raw / "dog/copy.jpg").write_bytes((raw / "cat/0.jpg").read_bytes())
    (raw / "dog/small.jpg").write_bytes(jpeg(make_photo(0).resize((80, 60)), 80))
    found = checked(raw)
    assert [m.path for m in moves(found, ["duplicates"])] == ["cat/copy.jpg"]
    near = {m.path for m in moves(found, ["near-duplicates"])}
    assert near == {"cat/copy.jpg", "cat/small.jpg", "dog/small.jpg"}
    assert len(moves(found, ["conflicts"])) == 5


def test_each_photo_is_taken_out_once_for_the_first_kind_that_names_it(raw: Path) -> None:
    (raw / "cat/odd.jpg").write_bytes(png(Image.new("RGB", (20, 16))))
    found = checked(raw)
    assert [(m.path, m.kind) for m in moves(found, KINDS)] == [("cat/odd.jpg", "tiny")]
    assert [m.kind for m in moves(found, ["extension", "blank"])] == ["extension"]
    assert moves(found, []) == []
