"""HEIC and JPEG XL, which Pillow reads with a package that is an extra of imgcli's."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.image_types import HEAD, PLUGINS, photo_format
from imgcli.photo_sizes import size_in
from imgcli.photos.decode import Fault, decode
from tests.support.photos import image_bytes, make_photo
from tests.support.shell import Shell

SUFFIX = {"HEIF": "heic", "JXL": "jxl"}


@pytest.fixture(params=list(PLUGINS))
def image_format(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    plugin = PLUGINS[name]
    module = pytest.importorskip(
        plugin.module, reason=f"{plugin.package} is not installed: pip install '.[{plugin.extra}]'"
    )
    if name == "HEIF":
        module.register_heif_opener()
    return name


def test_a_picture_is_read_upright_and_as_it_is(image_format: str) -> None:
    photo = make_photo(3, (320, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    for turned in (False, True):
        options = {"exif": exif.tobytes()} if turned else {}
        data = image_bytes(photo, image_format, quality=95, **options)
        assert photo_format(data[:HEAD]) == image_format
        found = decode(data)
        assert not isinstance(found, Fault), found
        wanted = photo.transpose(Image.Transpose.ROTATE_270) if turned else photo
        assert found.mode == "RGB" and found.size == wanted.size
        apart = np.abs(np.asarray(found, np.int16) - np.asarray(wanted, np.int16))
        assert apart.mean() < 6, turned


def test_damage_and_size_are_faults(image_format: str) -> None:
    data = image_bytes(make_photo(4, (320, 200)), image_format)
    for cut in (40, len(data) // 3, len(data) - 10):
        found = decode(data[:cut])
        assert isinstance(found, Fault), cut
    fault = decode(data, max_pixels=1000)
    assert isinstance(fault, Fault) and fault.stage == "limit"
    if image_format == "HEIF":
        assert size_in(data, "HEIF") == (320, 200)


def test_every_command_takes_them(image_format: str, here: Path, shell: Shell) -> None:
    for label in ("cat", "dog"):
        (here / "src" / label).mkdir(parents=True)
        for i in range(6):
            name = f"{i}.{SUFFIX[image_format] if i < 4 else 'jpg'}"  # and by a wrong name
            data = image_bytes(make_photo(i + 10 * (label == "dog")), image_format)
            (here / "src" / label / name).write_bytes(data)
    found = shell.json("import", "src")
    assert found["added"] == 12 and not found["rejected"]
    found = shell.json("check", "raw")
    assert found["photos"] == 12 and not found["unreadable"]
    assert shell("split", "raw").code == 0
    assert shell("train", "--arch", "4C3-P2", "--image-size", "16", "--epochs", "1").code == 0
    assert len(shell.json("predict", "src")["predictions"]) == 12


def test_the_packages_are_those_of_the_extras() -> None:
    """What a message tells to install is what pyproject.toml has."""
    tomllib = importlib.import_module("tomllib")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    for plugin in PLUGINS.values():
        assert extras[plugin.extra][0].partition(">=")[0] == plugin.package
