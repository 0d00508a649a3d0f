"""MNIST's idx files and CIFAR's batches: pixels without a picture file."""

import gzip
import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError, WrongUsage
from tests.support.trees import TWO_CLASSES, make_tar, make_tree, make_zip, tree

RNG = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


DIGITS = RNG.integers(0, 256, (5, 4, 3))
LABELS = np.array([7, 0, 7, 9, 0])
MNIST = {
    "train-images-idx3-ubyte": idx(DIGITS[:3]),
    "train-labels-idx1-ubyte": idx(LABELS[:3]),
    "t10k-images.idx3-ubyte": idx(DIGITS[3:]),
    "t10k-labels.idx1-ubyte": idx(LABELS[3:]),
}
PLACES = {
    "7/train-00000.png": 0,
    "0/train-00001.png": 1,
    "7/train-00002.png": 2,
    "9/t10k-00000.png": 3,
    "0/t10k-00001.png": 4,
}


def zipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in files.items()}


def pixels(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image)


@pytest.mark.parametrize("kind", ["folder", "gz", "zip", "tar of gz", "labels last"])
def test_mnist_comes_out_pixel_for_pixel(tmp_path: Path, kind: str) -> None:
    source = {
        "folder": lambda: make_tree(tmp_path / "mnist", MNIST),
        "gz": lambda: make_tree(tmp_path / "mnist", zipped(MNIST)),
        "zip": lambda: make_zip(tmp_path / "x.zip", {f"raw/{n}": d for n, d in MNIST.items()}),
        "tar of gz": lambda: make_tar(tmp_path / "x.tgz", zipped(MNIST), "w:gz"),
        "labels last": lambda: make_tar(tmp_path / "x.tar", dict(sorted(MNIST.items()))),
    }[kind]()
    result = import_photos([source], tmp_path / "out")
    placed = tree(tmp_path / "out")
    assert set(placed) == set(PLACES)
    for name, row in PLACES.items():
        assert np.array_equal(pixels(placed[name]), DIGITS[row])
    assert result.rejected == ()
    assert result.notes == (
        f"The parts 'test' and 'train' of '{source}' are mixed here; --keep-split keeps them "
        "apart.",
    )


def test_a_file_that_lies_there_packed_and_unpacked_is_taken_once(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "mnist", {**MNIST, **zipped(MNIST)})
    result = import_photos([source], tmp_path / "out")
    assert (result.added, result.skipped) == (5, 0)


def in_own_folders(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}/{name}": data for name, data in files.items()}


def in_kinds(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{'images' if 'images' in n else 'labels'}/{n}": d for n, d in files.items()}


def in_parts(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without a word for the part in the names: train/images-idx3-ubyte, test/…"""
    return {
        f"{'train' if 'train' in n else 'test'}/{n.replace('.', '-').split('-', 1)[1]}": d
        for n, d in files.items()
    }


@pytest.mark.parametrize("arranged", [in_own_folders, in_kinds, in_parts])
def test_images_and_labels_are_paired_wherever_they_are(
    tmp_path: Path, arranged: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    source = make_tree(tmp_path / "mnist", arranged(MNIST))
    result = import_photos([source], tmp_path / "out", reading=Reading(keep_split=True))
    assert (result.added, result.skipped, result.parts) == (5, 0, {"train": 3, "test": 2})
    placed = {path.split("/")[1] for path in tree(tmp_path / "out") if path.endswith(".png")}
    assert placed == {"0", "7", "9"}


@pytest.mark.parametrize("copied", [in_own_folders, in_kinds, zipped])
def test_a_pair_that_is_there_twice_is_taken_once(
    tmp_path: Path, copied: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    copies = {f"copy/{name}": data for name, data in copied(MNIST).items()}
    source = make_tree(tmp_path / "mnist", {**MNIST, **copies})
    result = import_photos([source], tmp_path / "out")
    assert (result.added, result.skipped, result.rejected) == (5, 0, ())


def test_a_damaged_copy_of_images_is_passed_over(tmp_path: Path) -> None:
    cut = {name: data[:-3] if "images" in name else data for name, data in zipped(MNIST).items()}
    result = import_photos([make_tree(tmp_path / "mnist", {**cut, **MNIST})], tmp_path / "out")
    assert (result.added, result.skipped, result.rejected) == (5, 0, ())


def test_sets_of_other_images_are_said(tmp_path: Path) -> None:
    other = {
        "fashion/train-images-idx3-ubyte": idx(DIGITS[2:]),
        "fashion/train-labels-idx1-ubyte": idx(LABELS[2:]),
    }
    digits = {f"digits/{name}": data for name, data in MNIST.items()}
    result = import_photos([make_tree(tmp_path / "mnist", {**digits, **other})], tmp_path / "out")
    assert result.added + result.skipped == 8
    assert "2 sets of images, 'digits/train-images-idx3-ubyte' and 'fashion" in result.notes[0]


def test_labels_that_may_go_with_either_set_are_refused(tmp_path: Path) -> None:
    files = {
        "images/train-images-idx3-ubyte": idx(DIGITS[:3]),
        "a/train-labels-idx1-ubyte": idx(LABELS[:3]),
        "b/train-labels-idx1-ubyte": idx(LABELS[2:]),
    }
    with pytest.raises(DataError, match=r"may go with 'a/train-labels.*Put images and"):
        import_photos([make_tree(tmp_path / "mnist", files)], tmp_path / "out")


def test_mnists_parts_can_be_kept(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "mnist", MNIST)
    result = import_photos([source], tmp_path / "out", reading=Reading(keep_split=True))
    assert result.parts == {"train": 3, "test": 2}
    assert "test/9/t10k-00000.png" in tree(tmp_path / "out")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"train-labels-idx1-ubyte": None}, "train' has images and no labels"),
        ({"train-images-idx3-ubyte": None}, "train' has labels and no images"),
        ({"train-labels-idx1-ubyte": idx(LABELS[:2])}, "train' has 3 images and 2 labels"),
        ({"train-labels-idx1-ubyte": idx(LABELS[:3])[:-1]}, "cut short or damaged: 2 bytes inste"),
        ({"train-images-idx3-ubyte": b"hello"}, "no idx file of bytes in 3 dimensions"),
        ({"a-images-idx3-ubyte.gz": b"hello"}, r"cannot be used: .*Not a gzipped file"),
        ({"train-images-idx3-ubyte": idx(DIGITS[:3, :0])}, "images of 0 × 3 pixels"),
    ],
)
def test_idx_files_that_do_not_fit_are_a_sentence(
    tmp_path: Path, changed: dict[str, bytes | None], sentence: str
) -> None:
    files = {name: data for name, data in {**MNIST, **changed}.items() if data is not None}
    with pytest.raises(DataError, match=sentence):
        import_photos([make_tree(tmp_path / "mnist", files)], tmp_path / "out")


def test_images_cut_short_give_what_came_before(tmp_path: Path) -> None:
    files = {**MNIST, "train-images-idx3-ubyte": MNIST["train-images-idx3-ubyte"][:-1]}
    result = import_photos([make_tree(tmp_path / "mnist", files)], tmp_path / "out")
    assert result.added == 4
    (rejected,) = result.rejected
    assert rejected.path.endswith("train-images-idx3-ubyte[2]")
    assert "cut short" in rejected.reason and "the rest was not read" in rejected.reason


def test_one_file_of_several_names_the_folder(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "mnist", MNIST)
    with pytest.raises(DataError, match=r"several that belong together.*imgcli import .*/mnist$"):
        import_photos([source / "train-images-idx3-ubyte"], tmp_path / "out")


def test_two_formats_in_one_folder_are_refused(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "mnist", {**MNIST, **TWO_CLASSES})
    with pytest.raises(WrongUsage, match=r"mnist' holds MNIST's idx files and photos. Move them"):
        import_photos([source], tmp_path / "out")


# --- CIFAR --------------------------------------------------------------------------------------

PICTURES = RNG.integers(0, 256, (4, 3, 32, 32), np.uint8)


def batch(rows: list[int], labels: list[int], *coarse: int) -> bytes:
    return b"".join(
        bytes([*coarse, label]) + PICTURES[row].tobytes()
        for row, label in zip(rows, labels, strict=True)
    )


TEN = {
    "cifar-10-batches-bin/batches.meta.txt": b"airplane\nautomobile\n\n",
    "cifar-10-batches-bin/data_batch_1.bin": batch([0], [1]),
    "cifar-10-batches-bin/data_batch_2.bin": batch([1, 2], [0, 1]),
    "cifar-10-batches-bin/test_batch.bin": batch([3], [0]),
    "cifar-10-batches-bin/readme.html": b"<html>",
}


@pytest.mark.parametrize("archived", [False, True])
def test_cifar10_comes_out_pixel_for_pixel(tmp_path: Path, archived: bool) -> None:
    if archived:
        source = make_tar(tmp_path / "x.tar.gz", dict(reversed(TEN.items())), "w:gz")
    else:
        source = make_tree(tmp_path / "cifar", TEN)
    result = import_photos([source], tmp_path / "out", reading=Reading(keep_split=True))
    placed = tree(tmp_path / "out")
    names = {
        "train/automobile/data_batch_1-00000.png": 0,
        "train/airplane/data_batch_2-00000.png": 1,
        "train/automobile/data_batch_2-00001.png": 2,
        "test/airplane/test_batch-00000.png": 3,
    }
    assert set(placed) == set(names)
    for name, row in names.items():
        assert np.array_equal(pixels(placed[name]), PICTURES[row].transpose(1, 2, 0))
    assert result.rejected == ()


def test_batches_that_are_there_twice_are_taken_once(tmp_path: Path) -> None:
    copies = {f"more/{name}": data for name, data in TEN.items()}
    result = import_photos([make_tree(tmp_path / "cifar", {**TEN, **copies})], tmp_path / "out")
    assert (result.added, result.skipped, result.rejected) == (4, 0, ())


def test_cifar100_goes_by_its_fine_labels(tmp_path: Path) -> None:
    files = {
        "train.bin": batch([0, 1], [1, 2], 0),
        "test.bin": batch([2], [0], 1),
        "fine_label_names.txt": b"apple\nbaby\n",
        "coarse_label_names.txt": b"fruit\npeople\n",
    }
    result = import_photos([make_tree(tmp_path / "cifar", files)], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"baby/train-00000.png", "apple/test-00000.png"}
    assert [r.reason for r in result.rejected] == ["its label is 2, which names no class"]


def test_batches_of_broken_records_are_a_sentence(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "cifar", {"data_batch_1.bin": batch([0], [0])[:-1]})
    with pytest.raises(DataError, match="is not of whole records of 3073 bytes"):
        import_photos([source], tmp_path / "out")


@pytest.mark.parametrize("names", [["data_batch_1", "batches.meta"], ["train", "test", "meta"]])
def test_the_python_version_is_refused_unread(tmp_path: Path, names: list[str]) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "exploded").touch, ())

    files = {f"cifar/{name}": pickle.dumps(Bomb()) for name in names}
    with pytest.raises(DataError, match=r"Python version of CIFAR, which is pickle.*binary"):
        import_photos([make_tar(tmp_path / "x.tar.gz", files, "w:gz")], tmp_path / "out")
    assert not (tmp_path / "exploded").exists()
