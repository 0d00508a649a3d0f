"""Marks that give a class away are found where they are; what photos show is none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imgcli.photos import shortcuts
from imgcli.photos.fingerprint import SIDE
from imgcli.photos.resize import resize
from imgcli.photos.shortcuts import Shortcut, find_shortcuts
from tests.support.photos import make_photo

PER_CLASS = 24
CORNERS = ("top left corner", "top right corner", "bottom left corner", "bottom right corner")


def scene(seed: int, shape: int) -> Image.Image:
    """A photo of coloured clouds with a thing somewhere near its middle."""
    photo, rng = make_photo(seed, (120, 90)), np.random.default_rng(seed)
    x, y = 60 + int(rng.integers(-12, 13)), 45 + int(rng.integers(-8, 9))
    size = int(rng.integers(14, 24))
    draw = ImageDraw.Draw(photo)
    colour = tuple(rng.integers(0, 256, 3).tolist())
    if shape == 0:
        draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    elif shape == 1:
        draw.rectangle((x - size, y - size, x + size, y + size), fill=colour)
    else:
        draw.polygon([(x, y - size), (x - size, y + size), (x + size, y + size)], fill=colour)
    return photo


@pytest.fixture(scope="module")
def scenes() -> list[list[Image.Image]]:
    """Three classes of photos."""
    return [[scene(1000 * k + i, k) for i in range(PER_CLASS)] for k in range(3)]


def found_in(
    photos: list[list[Image.Image]], groups: list[int] | None = None, seed: int = 0
) -> list[Shortcut]:
    pictures = np.stack([resize(one, (SIDE, SIDE), "bilinear") for some in photos for one in some])
    labels = [f"class {k}" for k, some in enumerate(photos) for _ in some]
    of = np.arange(len(labels)) if groups is None else np.array(groups)
    return find_shortcuts(pictures, labels, of, seed)


def with_mark(photo: Image.Image, box: tuple[float, ...], fill: Any, **more: Any) -> Image.Image:
    marked = photo.copy()
    width, height = marked.size
    corners = tuple(v * (width, height)[i % 2] for i, v in enumerate(box))
    ImageDraw.Draw(marked, "RGBA").rectangle(corners, fill=fill, **more)
    return marked


def marked(
    scenes: list[list[Image.Image]], box: tuple[float, ...], fill: Any = (250, 30, 30, 255),
    share: float = 1.0, **more: Any,
) -> list[list[Image.Image]]:  # fmt: skip
    """The scenes with a mark in photos of class 1."""
    n = round(share * PER_CLASS)
    own = [with_mark(one, box, fill, **more) if i < n else one for i, one in enumerate(scenes[1])]
    return [scenes[0], own, scenes[2]]


def test_photos_without_a_mark_give_no_warning(scenes: list[list[Image.Image]]) -> None:
    for seed in range(5):
        assert found_in(scenes, seed=seed) == []


@settings(max_examples=12, deadline=None)
@given(
    corner=st.integers(0, 3),
    size=st.floats(0.06, 0.16),
    opacity=st.integers(140, 255),
    seed=st.integers(0, 99),
)
def test_a_mark_in_a_corner_is_found_there_and_nowhere_else(
    scenes: list[list[Image.Image]], corner: int, size: float, opacity: int, seed: int
) -> None:
    x, y = 0.02 if corner % 2 == 0 else 0.98 - size, 0.02 if corner < 2 else 0.98 - size
    photos = marked(scenes, (x, y, x + size, y + size), (250, 30, 30, opacity))
    (found,) = found_in(photos, seed=seed)
    assert (found.label, found.place, found.kind) == ("class 1", CORNERS[corner], "corner")
    assert abs(found.centre[0] - x - size / 2) < 0.12 and abs(found.centre[1] - y - size / 2) < 0.12
    assert found.found >= 0.9 * found.n == 0.9 * PER_CLASS
    assert {i // PER_CLASS for i in found.rows} == {1} and len(found.rows) == found.found
    assert "crop or blank that place" in found.sentence and found.place in found.sentence


def test_a_bar_a_frame_and_a_mark_in_most_photos_are_found(
    scenes: list[list[Image.Image]],
) -> None:
    (bar,) = found_in(marked(scenes, (0, 0.9, 1, 1)))
    assert bar.place == "bottom edge"
    (frame,) = found_in(
        marked(scenes, (0, 0, 0.995, 0.995), None, width=4, outline=(48, 160, 48, 255))
    )
    assert (frame.kind, frame.place) == ("frame", "frame around the photo")
    (most,) = found_in(marked(scenes, (0.86, 0.02, 0.98, 0.14), share=0.8))
    assert most.place == "top right corner" and 0.7 * most.n <= most.found <= 0.9 * most.n


def test_a_mark_that_all_classes_have_gives_nothing_away(scenes: list[list[Image.Image]]) -> None:
    box = (0.86, 0.86, 0.98, 0.98)
    assert found_in([[with_mark(one, box, (250, 30, 30)) for one in some] for some in scenes]) == []


def test_a_background_of_the_class_is_no_mark(scenes: list[list[Image.Image]]) -> None:
    """It is all over the photo: not in a corner alone."""
    sky = [with_mark(one, (0, 0, 1, 0.5), (90, 140, 250, 150)) for one in scenes[0]]
    assert found_in([sky, *scenes[1:]]) == []


def test_copies_of_one_photo_count_once(scenes: list[list[Image.Image]]) -> None:
    copies = [scenes[1][0]] * PER_CLASS
    groups = [*range(PER_CLASS), *[99] * PER_CLASS, *range(100, 100 + PER_CLASS)]
    assert found_in([scenes[0], copies, scenes[2]], groups=groups) == []


@pytest.mark.parametrize("per_class", [0, 1, 2, 9])
def test_of_few_photos_nothing_is_said(scenes: list[list[Image.Image]], per_class: int) -> None:
    photos = marked(scenes, (0.86, 0.86, 0.98, 0.98))
    few = [some[:per_class] for some in photos if some[:per_class]]
    assert found_in(few) == [] if few else True
    assert find_shortcuts(np.empty((0, SIDE, SIDE, 3), np.uint8), [], np.empty(0, np.int64)) == []


def test_one_class_and_pictures_of_one_colour_give_nothing() -> None:
    flat = np.full((40, SIDE, SIDE, 3), 7, np.uint8)
    assert find_shortcuts(flat, ["a"] * 40, np.arange(40)) == []
    assert find_shortcuts(flat, ["a"] * 20 + ["b"] * 20, np.arange(40)) == []


def test_the_scores_of_many_classes_are_made_for_some_photos_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 20 photos of each of K classes, compared in all of them, would cost K².
    monkeypatch.setattr(shortcuts, "COMPARED", 300)
    sizes = []
    made = shortcuts.held_out_scores

    def counted(*given: Any) -> Any:
        own, scores = made(*given)
        sizes.append((own.shape, scores.shape))
        return own, scores

    monkeypatch.setattr(shortcuts, "held_out_scores", counted)
    pictures = np.random.default_rng(0).integers(0, 255, (800, SIDE, SIDE, 3), dtype=np.uint8)
    shortcuts.find_shortcuts(pictures, [str(i % 40) for i in range(800)], np.arange(800))
    assert set(sizes) == {((800,), (300, 40))}


def test_a_limit_is_the_quantile_of_the_other_classes_photos() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(500, 7)).astype(np.float32), rng.integers(0, 7, 500)
    wanted = [np.quantile(scores[targets != k, k], 1 - shortcuts.OTHERS) for k in range(7)]
    np.testing.assert_allclose(shortcuts.score_limits(scores, targets), wanted, rtol=1e-5)
