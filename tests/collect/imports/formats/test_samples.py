"""WebDataset's shards and COCO's annotations: photos whose label lies beside them."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from imgcli.collect.imports.detect import open_source
from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError
from tests.support.photos import photo
from tests.support.trees import make_tar, make_tree, make_zip, tree


@pytest.mark.parametrize(
    ("suffix", "labels"),
    [
        ("cls", [b"crab", b"0", b"crab\n"]),
        ("json", [b'{"label": "crab"}', b'{"class_id": 0, "x": 1}', b'"crab"']),
        ("txt", [b"crab", b"0", b"crab\n"]),
    ],
)
def test_samples_of_shards_get_their_labels(
    tmp_path: Path, suffix: str, labels: list[bytes]
) -> None:
    files = {}
    for n, label in enumerate(labels):
        pair = {f"{n:03}.png": photo(n), f"{n:03}.{suffix}": label}
        files |= pair if n else dict(reversed(pair.items()))  # the label may come first
    sources = [
        make_tar(tmp_path / "shard-000.tar", files),
        make_tar(tmp_path / "shard-001.tar.gz", {"9.png": photo(9), "9.cls": b"1"}, "w:gz"),
    ]
    result = import_photos(sources, tmp_path / "out")
    assert tree(tmp_path / "out") == {
        "crab/000.png": photo(0),
        "0/001.png": photo(1),
        "crab/002.png": photo(2),
        "1/9.png": photo(9),
    }
    assert result.rejected == ()


def test_samples_that_cannot_serve_are_listed(tmp_path: Path) -> None:
    files = {
        "1.png": photo(1),
        "1.cls": b"crab",
        "2.png": photo(2),
        "3.cls": b"crab",
        "4.png": b"<html>",
        "4.cls": b"crab",
        "5.png": photo(5),
        "5.seg.png": photo(6),
        "5.cls": b"crab",
        "6.png": photo(7),
        "6.json": b'{"caption": "a crab"}',
        "7.png": photo(8),
        "7.json": b"{",
        "8.png": photo(9),
        "8.txt": b"0 0.5 0.5 0.1 0.2\n",
        "9.png": photo(10),
        "9.cls": b" ",
    }
    source = make_tar(tmp_path / "x.tar", files)
    result = import_photos([source], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"crab/1.png", "crab/5.png"}
    assert {r.path.rpartition("!")[2]: r.reason for r in result.rejected} == {
        "2.png": "no .cls, .json or .txt of its key beside it",
        "3.cls": "no photo of its key beside it",
        "4.png": "an HTML page",
        "5.seg.png": "a second photo of its key",
        "6.png": "its 6.json has no label among caption",
        "7.png": "its 7.json is not JSON",
        "8.png": "its 8.txt holds more than a label",
        "9.png": "its label is empty",
    }


def test_a_shard_is_known_although_a_few_photos_lack_their_text(tmp_path: Path) -> None:
    files = {"1.png": photo(1), "1.txt": b"crab", "2.png": photo(2), "2.txt": b"owl"}
    source = make_tar(tmp_path / "x.tar", {**files, "3.png": photo(3)})
    result = import_photos([source], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"crab/1.png", "owl/2.png"}
    assert [r.path for r in result.rejected] == [f"{source}!3.png"]
    one_class = {"crab/1.png": photo(1), "crab/2.png": photo(2), "crab/readme.txt": b"of a class"}
    result = import_photos([make_tar(tmp_path / "y.tar", one_class)], tmp_path / "out")
    assert result.added == 1 and result.classes == {"crab": 2, "owl": 1}


def test_class_folders_with_texts_beside_the_photos_stay_class_folders(tmp_path: Path) -> None:
    files = {"a/1.png": photo(1), "a/1.txt": b"a caption", "b/2.png": photo(2), "b/2.txt": b"text"}
    result = import_photos([make_tar(tmp_path / "x.tar", files)], tmp_path / "out")
    assert result.classes == {"a": 1, "b": 1}


def test_memory_does_not_grow_with_the_shard(tmp_path: Path) -> None:
    def peak(photos: int) -> int:
        files = {}
        for n in range(photos):
            files |= {f"{n:05}.png": photo(n) + bytes(30_000), f"{n:05}.cls": b"%d" % (n % 3)}
        source = open_source(make_tar(tmp_path / "x.tar", files), Reading())
        del files
        tracemalloc.start()
        try:
            for item in source.photos():
                item.read()  # type: ignore[union-attr]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(400) < 1.2 * peak(40)


# --- COCO ---------------------------------------------------------------------------------------


def coco(labels: dict[str, list[str]]) -> bytes:
    """Annotations of photos by file name."""
    names = sorted({name for many in labels.values() for name in many})
    document: dict[str, Any] = {
        "info": {"year": 2017},
        "images": [{"id": n, "file_name": name, "height": 3} for n, name in enumerate(labels)],
        "annotations": [
            {"id": 1, "image_id": n, "category_id": names.index(name), "segmentation": [[1, 2]]}
            for n, many in enumerate(labels.values())
            for name in many
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
    }
    return json.dumps(document).encode()


TRAIN = {"1.png": ["crab", "crab"], "2.png": ["crab", "lobster"], "3.png": [], "4.png": ["lobster"]}
COCO = {
    "coco/annotations/instances_train2017.json": coco(TRAIN),
    "coco/annotations/instances_val2017.json": coco({"6.png": ["crab"]}),
    "coco/annotations/captions_val2017.json": b'{"images": [], "annotations": []}',
    **{f"coco/train2017/{n}.png": photo(n) for n in range(1, 6)},
    "coco/val2017/6.png": photo(6),
}


@pytest.mark.parametrize("archived", [False, True])
def test_photos_of_one_category_are_of_its_class(tmp_path: Path, archived: bool) -> None:
    source = make_zip(tmp_path / "x.zip", COCO) if archived else make_tree(tmp_path / "x", COCO)
    result = import_photos([source], tmp_path / "out", reading=Reading(keep_split=True))
    assert tree(tmp_path / "out") == {
        "train/crab/1.png": photo(1),
        "train/lobster/4.png": photo(4),
        "val/crab/6.png": photo(6),
    }
    assert {r.path[-5:]: r.reason for r in result.rejected} == {
        "2.png": "shows several categories: crab, lobster",
        "3.png": "has no annotation",
        "5.png": "in no file of annotations",
    }


def test_annotations_beside_their_photos_speak_for_these_alone(tmp_path: Path) -> None:
    files = {
        "train/_annotations.coco.json": coco({"1.png": ["crab"]}),
        "train/1.png": photo(1),
        "valid/_annotations.coco.json": coco({"1.png": ["lobster"]}),
        "valid/1.png": photo(2),
    }
    import_photos([make_tree(tmp_path / "x", files)], tmp_path / "out")
    assert tree(tmp_path / "out") == {"crab/1.png": photo(1), "lobster/1.png": photo(2)}


def test_one_file_of_annotations_can_be_named(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "x", COCO) / "coco/annotations/instances_val2017.json"
    import_photos([source], tmp_path / "out")
    assert tree(tmp_path / "out") == {"crab/6.png": photo(6)}
    with pytest.raises(DataError, match=r"captions_val2017.json' is no file of COCO annotations"):
        import_photos([source.with_name("captions_val2017.json")], tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    [
        b'{"images": [',
        b'{"images": [1], "categories": [{"id": 1, "name": "a"}]}',
        b'{"images": [{"id": 1, "file_name": "1.png"}], "categories": [{"id": 1}]}',
        b'{"images": ' + b"[" * 100_000,
    ],
)
def test_damaged_annotations_are_a_sentence(tmp_path: Path, text: bytes) -> None:
    source = make_tree(tmp_path / "x", {"photos/1.png": photo(1), "annotations/a.json": text})
    with pytest.raises(DataError, match=r"a.json' (cannot be read as anno|has not the fields of)"):
        import_photos([source], tmp_path / "out")
