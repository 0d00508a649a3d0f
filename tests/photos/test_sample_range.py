"""One range for all photos of a folder that have more than 8 bits."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from imgcli.photos.decode import needed
from imgcli.photos.hashing import digest_files
from imgcli.photos.near_duplicates import duplicate_groups, fingerprint_files
from imgcli.photos.sample_range import find_range, own_range
from imgcli.photos.views import decode_files, load_pixels
from imgcli.records import Preprocess, SampleRange, Samples
from tests.support.photos import make_photo


def write(folder: Path, values: list[NDArray[np.generic]], suffix: str = ".png") -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = []
    for i, array in enumerate(values):
        files.append(folder / f"{i}{suffix}")
        Image.fromarray(array).save(files[-1])
    return files


def found(files: list[Path], cache: Path) -> tuple[SampleRange | None, list[str]]:
    return find_range(files, [str(d) for d in digest_files(files, cache)], cache)


def ramp(top: int, dtype: type = np.uint16) -> NDArray[np.generic]:
    return np.linspace(0, top, 64).reshape(8, 8).astype(dtype)


@pytest.mark.parametrize(
    ("tops", "bits"),
    [([255, 90], 8), ([1023], 10), ([700, 3000], 12), ([16383], 14), ([16384], 16), ([65535], 16)],
)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_the_brightest_photo_decides_for_all(
    tops: list[int], bits: int, suffix: str, tmp_path: Path
) -> None:
    files = write(tmp_path / "a", [ramp(top) for top in tops], suffix)
    taken, sentences = found(files, tmp_path / "cache")
    assert taken == SampleRange(bits=bits)
    assert len(sentences) == (bits < 16)
    if bits == 12:
        assert sentences == [
            "Files of 16 bits with fewer in use: values of 2 photos reach 3,000, so 0–4,095 "
            "(12 bits) is taken as black to white."
        ]


def test_photos_of_8_bits_have_no_range_and_are_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(tmp_path / "a", [np.asarray(make_photo(i)) for i in range(3)])
    assert found(files, tmp_path / "cache") == (None, [])
    monkeypatch.setattr("imgcli.photos.sample_range.read_each", None)
    assert found(files, tmp_path / "cache") == (None, [])


def test_floats_and_long_integers_share_the_range_of_the_folder(tmp_path: Path) -> None:
    floats = write(tmp_path / "f", [ramp(1, np.float32), ramp(7, np.float32)], ".tif")
    taken, sentences = found(floats, tmp_path / "cache")
    assert taken == SampleRange(floats=(0.0, 255.0))
    assert sentences == [
        "Photos of floats: values of 2 photos go from 0 to 7, and 0 to 255 is taken as black to "
        "white."
    ]
    wide = write(tmp_path / "i", [ramp(4000, np.int32) - 1000, ramp(9, np.int32)], ".tif")
    taken, (sentence,) = found(wide, tmp_path / "cache")
    assert taken == SampleRange(integers=(-1000.0, 3000.0))
    assert "-1,000 to 3,000 is taken as black to white" in sentence


def test_dark_photos_beside_one_bright_one_are_said(tmp_path: Path) -> None:
    files = write(tmp_path / "a", [ramp(900), ramp(1000), ramp(65535)])
    taken, (sentence,) = found(files, tmp_path / "cache")
    assert taken == SampleRange()
    assert "half of them no more than 1,000, so few of 256 grey levels are left" in sentence


def test_a_damaged_photo_decides_nothing(tmp_path: Path) -> None:
    files = write(tmp_path / "a", [ramp(65535), ramp(3000)])
    files[0].write_bytes(files[0].read_bytes()[:60])
    assert found(files, tmp_path / "cache")[0] == SampleRange(bits=12)


def test_one_photo_by_itself_has_the_range_of_its_values(tmp_path: Path) -> None:
    (dark,) = write(tmp_path / "a", [ramp(900)])
    assert own_range(dark.read_bytes()) == SampleRange(bits=10)
    (colour,) = write(tmp_path / "b", [np.asarray(make_photo(1))])
    assert own_range(colour.read_bytes()) is None
    assert own_range(b"P5 no picture") is own_range(b"") is None


def twelve_bits(seed: int) -> NDArray[np.generic]:
    grey = np.asarray(make_photo(seed).convert("L")).astype(np.uint16)
    return (grey * 16 + np.random.default_rng(seed).integers(0, 16, grey.shape)).astype(np.uint16)


def test_photos_of_12_bits_are_not_all_the_same_photo(tmp_path: Path) -> None:
    files = write(tmp_path / "a", [twelve_bits(seed) for seed in range(6)])
    digests = [str(d) for d in digest_files(files, tmp_path / "cache")]
    groups, _ = duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert len(set(groups.tolist())) == 6
    assert fingerprint_files(files, digests, tmp_path / "cache").ranges


def test_pixels_of_two_ranges_are_kept_apart_and_predict_uses_the_runs(tmp_path: Path) -> None:
    (file,) = files = write(tmp_path / "a", [twelve_bits(1)])
    samples = Samples(
        root=tmp_path / "a",
        paths=(file.name,),
        targets=np.zeros(1, np.int64),
        groups=np.zeros(1, np.int64),
        digests=tuple(str(d) for d in digest_files(files, tmp_path / "cache")),
        classes=("a",),
    )
    views = [Preprocess(32, sample_range=SampleRange(bits)) for bits in (12, 14, 16)]
    rows = np.zeros(1, np.int64)
    means = []
    for view in views:
        (pixels,) = load_pixels(samples, [view], tmp_path / "cache")
        (block,) = decode_files(files, view)
        assert (pixels.gather(rows) == block.images).all()
        means.append(block.images.mean())
    assert means[0] > 3 * means[1] > 9 * means[2] > 0
    assert needed(views[0]) == 64


def test_the_preprocessing_says_its_range() -> None:
    said = Preprocess(32, sample_range=SampleRange(12)).describe()
    assert said.endswith("samples of 16 bits from 0 to 4,095")
    assert "samples" not in Preprocess(32, sample_range=SampleRange()).describe()


def test_a_range_survives_json() -> None:
    for one in (None, SampleRange(12), SampleRange(16, (-1.0, 2.0), (0.0, 1.0))):
        view = Preprocess(32, sample_range=one)
        stored = {**vars(view), "sample_range": vars(one) if one else None}
        assert Preprocess.from_json(stored) == view
    assert Preprocess.from_json({"size": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}).geometry() == (
        "8-squash-bicubic"  # of a run before there were ranges
    )
