"""Evidence as an overlay: in its colours, at its place, whatever the photo's shape."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from imgcli.config import Fit
from imgcli.photos.decode import view_box
from imgcli.records import Preprocess
from imgcli.report.plots.explanation import EvidencePicture, NearPhoto, explanation, overlay
from imgcli.report.plots.style import save_png
from tests.support.photos import image_bytes, make_photo

WHOLE = (0.0, 0.0, 1.0, 1.0)


def redness(drawn: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Above 0 where it is orange, below where it is blue, 0 where it is grey."""
    red, blue = (drawn[:, :, channel].astype(np.int64) for channel in (0, 2))
    return np.asarray(red - blue)


def test_what_speaks_for_a_class_is_orange_and_what_speaks_against_it_blue() -> None:
    evidence = np.zeros((8, 8), np.float32)
    evidence[1, 1], evidence[6, 6] = 2, -2
    drawn = redness(overlay(Image.new("RGB", (80, 80), "white"), evidence, WHOLE))
    assert drawn[15, 15] > 60 and drawn[65, 65] < -60
    assert abs(drawn[15, 65]) < 12 and abs(drawn[65, 15]) < 12


def test_what_the_network_does_not_see_stays_grey() -> None:
    wide = Image.new("RGB", (120, 40), "white")
    box = view_box(wide.size, Preprocess(32, fit="crop"))
    drawn = redness(overlay(wide, np.ones((8, 8), np.float32), box))
    assert (drawn[:, 45:75] > 60).all()
    assert (np.abs(drawn[:, :35]) == 0).all() and (np.abs(drawn[:, 85:]) == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    fit=st.sampled_from(("squash", "crop", "pad")),
    crop=st.sampled_from((0.5, 0.875, 1.0)),
    seed=st.integers(0, 20),
)
def test_an_overlay_has_the_photos_size(
    size: tuple[int, int], fit: Fit, crop: float, seed: int
) -> None:
    evidence = np.random.default_rng(seed).normal(size=(28, 28)).astype(np.float32)
    box = view_box(size, Preprocess(32, fit=fit, crop=crop))
    assert box[2] > box[0] and box[3] > box[1]
    drawn = overlay(Image.new("RGB", size, "grey"), evidence, box)
    assert drawn.shape == (size[1], size[0], 3) and drawn.dtype == np.uint8


def test_no_evidence_leaves_a_grey_photo() -> None:
    drawn = overlay(make_photo(1), np.zeros((8, 8), np.float32), WHOLE)
    assert (redness(drawn) == 0).all()


@pytest.mark.parametrize(("size", "nearest"), [((160, 120), 8), ((300, 40), 2), ((20, 200), 0)])
def test_a_figure_is_drawn_of_every_shape_and_any_names(
    size: tuple[int, int], nearest: int, tmp_path: Path
) -> None:
    photo = image_bytes(make_photo(3, size))
    near = NearPhoto(photo, "a$b_{c", 0.5, duplicate=True)
    gone = NearPhoto(None, "\udcff" * 60, 0.4, duplicate=False)
    figure = explanation(
        EvidencePicture(
            name="new\n<b>.jpg",
            picture=photo,
            box=WHOLE,
            explained="a$b_{c",
            against="x" * 90,
            probability=0.7,
            label="other",
            evidence=np.ones((8, 8), np.float32),
            contrast=-np.ones((8, 8), np.float32),
            nearest=[near, gone, *[near] * 6][:nearest],
        )
    )
    path = tmp_path / "figure.png"
    save_png(figure, path, "imgcli explain")
    with Image.open(io.BytesIO(path.read_bytes())) as drawn:
        assert drawn.info["Software"] == "imgcli explain"
        assert 1500 < drawn.width < 2200 and drawn.height < 2200
