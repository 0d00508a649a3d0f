"""Augmentation: seeded, within its bounds, and absent where it is not asked for."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from imgcli.config import TrainConfig
from imgcli.training.augment import (
    RECIPES,
    Recipe,
    augment,
    erase,
    mirrored_in,
    mixing,
    recipe_of,
    to_planes,
)

RANDOM = [name for name in RECIPES if name != "none"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(n: int, side: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=seeded(7))


def test_none_leaves_the_photos_alone() -> None:
    pixels = photos(3)
    assert torch.equal(augment(pixels, RECIPES["none"], 16, seeded()), to_planes(pixels))


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_gives_one_result_of_the_networks_size(name: str) -> None:
    one, same, other = (augment(photos(4, 20), RECIPES[name], 16, seeded(s)) for s in (1, 1, 2))
    assert one.shape == (4, 3, 16, 16)
    assert one.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("name", RANDOM)
def test_nothing_is_invented_beyond_what_a_photo_can_hold(name: str) -> None:
    out = augment(photos(8), RECIPES[name], 16, seeded())
    assert out.min() >= -1e-3 and out.max() <= 255 + 1e-3


def test_half_of_the_photos_are_mirrored_and_no_more_is_done_by_a_flip_alone() -> None:
    pixels = photos(1, 8).expand(400, 8, 8, 3)
    out, image = augment(pixels, Recipe(flip=True), 8, seeded()), to_planes(pixels)
    mirrored = (out == image.flip(3)).flatten(1).all(1)
    kept = (out == image).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250


@pytest.mark.parametrize("recipe", [Recipe(flip=True), Recipe(flip=True, area=(0.99, 0.99))])
def test_the_photos_to_mirror_can_be_given(recipe: Recipe) -> None:
    ramp = torch.arange(0, 256, 16, dtype=torch.uint8).view(1, 1, 16, 1).expand(6, 16, 16, 3)
    mirrored = torch.tensor([True, False, False, True, True, False])
    out = augment(ramp, recipe, 16, seeded(), mirrored=mirrored)
    assert torch.equal(out[:, 0, 0, 0] > out[:, 0, 0, -1], mirrored)


def test_an_epoch_mirrors_half_of_the_photos_and_the_next_the_others() -> None:
    rows = np.random.default_rng(0).permutation(1000)
    first, second, third = (mirrored_in(epoch, rows) for epoch in (1, 2, 3))
    assert torch.equal(first, ~second) and torch.equal(first, third)
    assert 495 <= first.sum() <= 505
    assert 20 <= first[rows < 50].sum() <= 30  # of a class, whose rows are in a line
    assert torch.equal(mirrored_in(1, rows[7:9]), first[7:9])  # whatever the batch


def test_small_photos_move_by_whole_pixels_the_rim_mirrored() -> None:
    pixels = photos(1, 32).expand(300, 32, 32, 3)
    out = augment(pixels, Recipe(shift=1 / 16), 32, seeded())
    padded = functional.pad(to_planes(pixels[:1]), (2, 2, 2, 2), mode="reflect")
    places = [padded[0, :, y : y + 32, x : x + 32] for y in range(5) for x in range(5)]
    found = torch.stack([(out == place).flatten(1).all(1) for place in places])
    assert (found.sum(0) == 1).all() and found.any(1).all()  # each somewhere, and all 25 occur


def test_a_shift_never_mirrors() -> None:
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).view(1, 1, 32, 1).expand(100, 32, 32, 3)
    out = augment(ramp, RECIPES["shift"], 32, seeded())
    assert (out[..., -1] > out[..., 0]).all()


def test_turned_by_a_quarter_at_most_a_photo_is_found_turned() -> None:
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).view(1, 1, 32, 1).expand(200, 32, 32, 3)
    out = augment(ramp, Recipe(rotate=90), 32, seeded())[:, 0]
    slope_x = (out[:, 8:24, 20] - out[:, 8:24, 12]).mean(1)
    slope_y = (out[:, 20, 8:24] - out[:, 12, 8:24]).mean(1)
    angle = torch.atan2(slope_y, slope_x).rad2deg()
    assert angle.abs().max() < 91 and angle.std() > 40
    length = (slope_x.square() + slope_y.square()).sqrt()
    torch.testing.assert_close(length, torch.full((200,), 64.0), atol=3, rtol=0)


def test_a_slant_moves_rows_against_each_other_and_keeps_them_level() -> None:
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).view(1, 32, 1, 1).expand(50, 32, 32, 3)
    out = augment(ramp, Recipe(shear=30), 32, seeded())[:, 0]
    assert (out[:, :, 8:24].std(2) < 1e-3).all()  # a ramp from top to bottom does not change
    across = augment(ramp.transpose(1, 2), Recipe(shear=30), 32, seeded())[:, 0]
    assert ((across[:, 24, 16] - across[:, 8, 16]).abs() > 20).any()


def test_an_elastic_photo_is_bent_smoothly_by_as_much_as_was_asked_for() -> None:
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).view(1, 1, 32, 1).expand(400, 32, 32, 3)
    out = augment(ramp, Recipe(elastic=0.04), 32, seeded())[:, 0]
    moved = (out - to_planes(ramp)[:, 0])[:, 8:24, 8:24] / 8  # pixels, where no rim is near
    assert 0.7 * 0.04 * 32 < moved.std() < 1.1 * 0.04 * 32  # between the knots a bit less
    assert moved.mean().abs() < 0.1
    assert (moved[:, 1:] - moved[:, :-1]).std() < 0.4 * moved.std()
    flat = torch.full((3, 16, 16, 3), 90, dtype=torch.uint8)
    torch.testing.assert_close(augment(flat, Recipe(elastic=0.1), 16, seeded()), to_planes(flat))


def test_random_changes_keep_the_shape_and_differ_between_photos() -> None:
    pixels = photos(1, 24).expand(6, 24, 24, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = augment(pixels, Recipe(random=9), 24, seeded())
    assert out.shape == (6, 3, 24, 24) and out.min() >= 0 and out.max() <= 255
    assert len({photo.sum().item() for photo in out}) > 3


def test_what_is_asked_for_replaces_its_part_of_the_recipe() -> None:
    config = TrainConfig.of(arch="any", augment="photo", flip=False, zoom=0.5, rotate=10.0)
    assert recipe_of(config.augment) == Recipe(area=(0.5, 1.0), rotate=10.0)
    assert (
        recipe_of(config.with_(augment="none", zoom=None, rotate=None, flip=None).augment)
        == Recipe()
    )


def test_crops_of_larger_photos_are_sharper_than_crops_of_small_ones() -> None:
    fine = photos(16, 40)
    coarse = functional.interpolate(to_planes(fine), 16, mode="area")
    coarse = coarse.round().to(torch.uint8).permute(0, 2, 3, 1)
    from_fine, from_coarse = (
        augment(these, RECIPES["photo"], 16, seeded()) for these in (fine, coarse)
    )
    assert from_fine.std() > 1.5 * from_coarse.std()


def test_recolouring_a_grey_photo_keeps_it_grey_and_every_photo_gets_its_own_draw() -> None:
    grey = torch.full((50, 8, 8, 3), 100, dtype=torch.uint8)
    out = augment(grey, Recipe(colour=0.4), 8, seeded())
    torch.testing.assert_close(out[:, 0], out[:, 2], atol=1e-3, rtol=0)
    levels = out.mean((1, 2, 3))
    assert levels.min() < 80 and levels.max() > 120  # brightness by up to 40 %
    assert levels.min() >= 60 - 1e-3 and levels.max() <= 140 + 1e-3


def test_a_share_of_the_images_loses_one_rectangle() -> None:
    out = erase(torch.ones(400, 3, 24, 24), 0.25, seeded())
    lost = 1 - out[:, 0]
    erased = lost.flatten(1).any(1)
    assert 70 < erased.sum() < 130
    for blot in lost[erased][:20]:
        rows, columns = blot.any(1), blot.any(0)
        assert torch.equal(blot.bool(), rows[:, None] & columns)
        assert blot.mean() < 0.4
    assert torch.equal(out[:, 0], out[:, 2])


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_mixtures_keep_the_whole_of_each_label(mixup: float, cutmix: float) -> None:
    mix = mixing(mixup, cutmix, 5)
    assert mix is not None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images, shares = mix(torch.rand(6, 3, 8, 8), torch.arange(6) % 5)
    assert images.shape == (6, 3, 8, 8) and shares.shape == (6, 5)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    assert ((shares > 0).sum(1) <= 2).all()


def test_without_alpha_nothing_is_mixed() -> None:
    assert mixing(0.0, 0.0, 5) is None
