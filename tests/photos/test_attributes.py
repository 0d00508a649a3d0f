"""What photos have besides what they show."""

import json
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.photos.attributes import photo_attributes
from tests.support.photos import image_bytes, make_photo
from tests.support.trees import make_tree

SIZES = {"train/a/0.jpg": (160, 120), "train/a/1.jpg": (80, 200), "train/b/2.jpg": (160, 120)}


@pytest.mark.usefixtures("here")
def test_photos_have_sizes_brightness_sharpness_and_who_made_them() -> None:
    pictures = {path: make_photo(i, size) for i, (path, size) in enumerate(SIZES.items())}
    pictures["train/b/2.jpg"] = pictures["train/b/2.jpg"].point(lambda value: value // 8)
    files = {path: image_bytes(picture) for path, picture in pictures.items()}
    root = make_tree(Path("data"), {**files, "test/a/9.jpg": files["train/a/0.jpg"] + b"."})
    digests = [sha256(data).hexdigest() for data in files.values()]
    line = {
        "path": "a/0.jpg",
        "sha256": digests[0],
        "size": 1,
        "source": "flickr",
        "creator": "Ann",
    }
    (root / "provenance.jsonl").write_text(json.dumps(line) + "\n")
    found = photo_attributes(root, list(files), digests)
    np.testing.assert_array_equal(found["short side in pixels"], [120, 80, 120])
    np.testing.assert_allclose(found["width over height"], [4 / 3, 0.4, 4 / 3])
    brightness = np.array(found["brightness (0 to 255)"])
    greys = [np.asarray(picture.convert("L")).mean() for picture in pictures.values()]
    np.testing.assert_allclose(brightness, greys, atol=3)
    assert np.isfinite(np.array(found["sharpness (0 to 1)"], float)[:2]).all()
    assert found["source"] == ["flickr", None, None]
    assert found["photographer"] == ["Ann", None, None]
    changed = photo_attributes(
        root, list(files), [digests[1], digests[0], "0" * 64], cache=Path("c")
    )
    assert np.isnan(np.array(changed["width over height"], float)).all()


@pytest.mark.usefixtures("here")
def test_the_camera_is_named_by_make_and_model_without_its_serial_number() -> None:
    cameras = [("Canon", "Canon EOS 5D", "77"), ("NIKON", "D90", "12"), None, ("Canon", "", "")]
    files = {}
    for i, camera in enumerate(cameras):
        exif = Image.Exif()
        if camera:
            exif[0x010F], exif[0x0110], exif[0x0132] = *camera[:2], "2020:02:03 04:05:06"
            exif.get_ifd(0x8769)[0xA431] = camera[2]
        stream = BytesIO()
        make_photo(i, (80, 80)).save(stream, "JPEG", exif=exif)
        files[f"train/a/{i}.jpg"] = stream.getvalue()
    root = make_tree(Path("data"), files)
    digests = [sha256(data).hexdigest() for data in files.values()]
    found = photo_attributes(root, list(files), digests)
    assert found["camera"] == ["Canon EOS 5D", "NIKON D90", None, "Canon"]
