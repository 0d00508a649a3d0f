"""Augmentation of whole batches on their device: recipes by name, each one affine map per photo."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Recipe(NamedTuple):
    area: tuple[float, float]  # share of the photo's area that is kept, drawn uniformly
    flip: bool  # mirror left and right, half of the time
    shift: float  # shift each way by up to this share of the side, at full area


RECIPES = {
    "none": Recipe((1.0, 1.0), False, 0.0),
    # For signs, digits, slides: what is left and right means something.
    "shift": Recipe((0.85, 1.0), False, 0.08),
    # For photos: a random part of at least 35 % of the area, mirrored or not.
    "photo": Recipe((0.35, 1.0), True, 0.0),
}


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Crop, shift and mirror each image `(B, C, H, W)` by its own random affine map.

    Args:
        generator: on the CPU, so that every device draws the same.
    """
    if recipe == RECIPES["none"]:
        return images
    n = len(images)
    draws = torch.rand(n, 4, generator=generator)
    side = (recipe.area[0] + (recipe.area[1] - recipe.area[0]) * draws[:, 0]).sqrt()
    room = 1 - side + 2 * recipe.shift  # how far the kept part's centre may lie off, in half sides
    mirror = torch.where(draws[:, 1] < 0.5, -1.0, 1.0) if recipe.flip else torch.ones(n)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side * mirror, side
    theta[:, :, 2] = (2 * draws[:, 2:] - 1) * room[:, None]
    grid = functional.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    warped = functional.grid_sample(
        images, grid.to(images.dtype), padding_mode="border", align_corners=False
    )
    return warped.contiguous(memory_format=torch.channels_last)
