"""Augmentation of whole batches on their device: recipes by name, random for every photo."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from imgcli.config import AugmentConfig
from imgcli.records import IntArray
from imgcli.training.device import to_device


class Recipe(NamedTuple):
    area: tuple[float, float] = (1.0, 1.0)  # share of the photo's area that is kept, uniform
    flip: bool = False  # mirror left and right: half of the photos, the others the next epoch
    shift: float = 0.0  # shift each way by up to this share of the side, at full area
    rotate: float = 0.0  # turn each way by up to this many degrees
    shear: float = 0.0  # slant each way by up to this many degrees
    elastic: float = 0.0  # bend: standard deviation, share of the side, of where points move
    colour: float = 0.0  # change brightness, contrast and saturation by up to this share
    erase: float = 0.0  # probability that a rectangle is blotted out
    random: int | None = None  # magnitude, 0 to 30, of two random changes more

    @property
    def crops(self) -> bool:
        """Whether parts are cut out, which a larger photo leaves sharper."""
        return self.area != (1.0, 1.0)

    @property
    def warps(self) -> bool:
        """Whether pixels are interpolated."""
        return self.crops or self.rotate > 0 or self.shear > 0 or self.elastic > 0


RECIPES = {
    "none": Recipe(),
    # For signs, digits, slides: what is left and right means something.
    "shift": Recipe(area=(0.85, 1.0), shift=0.08),
    # For pictures of few pixels, which zooming would blur: moved by whole pixels, mirrored or not.
    "small": Recipe(flip=True, shift=1 / 16),
    # For photos: a random part of at least 35 % of the area, mirrored or not.
    "photo": Recipe(area=(0.35, 1.0), flip=True),
    # For photos, where there are few and epochs are many.
    "strong": Recipe(area=(0.25, 1.0), flip=True, colour=0.4, erase=0.25),
}


def recipe_of(config: AugmentConfig) -> Recipe:
    """The recipe of a config by its name, with the parts that the config replaces."""
    recipe = RECIPES[config.recipe or "none"]
    asked: dict[str, Any] = {
        "flip": config.flip,
        "shift": config.shift,
        "rotate": config.rotate,
        "shear": config.shear,
        "elastic": config.elastic,
        "colour": config.colour,
        "erase": config.erase,
        "random": config.rand_augment,
        "area": None if config.zoom is None else (config.zoom, 1.0),
    }
    return recipe._replace(**{name: value for name, value in asked.items() if value is not None})


LUMA = (0.299, 0.587, 0.114)
_GOLDEN = (5**0.5 - 1) / 2  # whose multiples are spread evenly
_KNOTS = 6  # along a side, between which a bent photo is smooth
_ERASED = (0.02, 0.33)  # share of the area (Zhong et al., Random Erasing, 2017)


class Share(NamedTuple):
    """Some of the photos of a batch, which are prepared as if all were."""

    n: int  # photos in the batch
    positions: IntArray  # (B,) of those that are wanted


class Draws:
    """The random numbers of a batch: drawn for all of its photos, whichever are wanted.

    Args:
        n: photos that are wanted: all, or those of `share`.
    """

    def __init__(self, generator: torch.Generator, n: int, share: Share | None) -> None:
        self.generator = generator
        self.n = n if share is None else share.n
        self.some = None if share is None else torch.from_numpy(share.positions)

    def uniform(self, *shape: int) -> Tensor:
        """`(B, *shape)`, of 0 to 1."""
        return self._of(torch.rand(self.n, *shape, generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        """`(B, *shape)`, of mean 0 and deviation 1."""
        return self._of(torch.randn(self.n, *shape, generator=self.generator))

    def factors(self, kinds: int) -> Tensor:
        """`(kinds, B, 1, 1, 1)`, of 0 to 1."""
        drawn = torch.rand(kinds, self.n, 1, 1, 1, generator=self.generator)
        return drawn if self.some is None else drawn[:, self.some]

    def _of(self, drawn: Tensor) -> Tensor:
        return drawn if self.some is None else drawn[self.some]


def mirrored_in(epoch: int, rows: IntArray) -> Tensor:
    """Which photos an epoch mirrors, `(B,)` bool: half of them, the others in the next.

    So two epochs show every photo both ways, where drawing would show half of them one way twice
    (Jordan, 94 % on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024).

    Args:
        rows: of the dataset `(B,)`; rows in a line take turns, and with them those of a class.
    """
    return torch.from_numpy((rows * _GOLDEN % 1 < 0.5) ^ (epoch % 2 == 1))


def augment(
    pixels: Tensor,
    recipe: Recipe,
    size: int,
    generator: torch.Generator,
    share: Share | None = None,
    mirrored: Tensor | None = None,
) -> Tensor:
    """Move, crop, mirror and recolour each photo of a batch by its own draws.

    Args:
        pixels: `(B, M, M, 3)` uint8, M at least `size`; larger leaves crops their sharpness.
        generator: on the CPU, so that every device draws the same.
        share: which photos of the batch these are; None: all. Not with `recipe.random`, which draws
            for one photo after the other.
        mirrored: the photos that a recipe with `flip` mirrors, `(B,)` bool; None: drawn.

    Returns:
        Images `(B, 3, size, size)` float32 with values of 0 to 255, channels last.
    """
    assert share is None or recipe.random is None
    draws = Draws(generator, len(pixels), share)
    if recipe.warps or pixels.shape[1] != size:
        images = _warp(to_planes(pixels), recipe, size, draws, mirrored)
    else:
        images = to_planes(_move(pixels, recipe, draws, mirrored))
    if recipe.random is not None:
        images = _change_at_random(images, recipe.random)
    return _recolour(images, recipe.colour, draws) if recipe.colour else images


def to_planes(pixels: Tensor) -> Tensor:
    """Pixels `(B, H, W, 3)` uint8 as images `(B, 3, H, W)` float32, channels last."""
    return pixels.permute(0, 3, 1, 2).float()


def luma(images: Tensor) -> Tensor:
    """Images `(B, 3, H, W)` in grey, `(B, 1, H, W)`, as ITU-R 601 weighs the colours."""
    weights = to_device(torch.tensor(LUMA), images.device).view(3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _warp(
    images: Tensor, recipe: Recipe, size: int, draws: Draws, mirrored: Tensor | None
) -> Tensor:
    """Crop, shift, mirror, turn and slant by one affine map per photo, and bend it."""
    n = len(images)
    drawn = draws.uniform(6)
    side = (recipe.area[0] + (recipe.area[1] - recipe.area[0]) * drawn[:, 0]).sqrt()
    room = 1 - side + 2 * recipe.shift  # how far the kept part's centre may be off, in half sides
    mirrored = drawn[:, 1] < 0.5 if mirrored is None else mirrored
    mirror = torch.where(mirrored, -1.0, 1.0) if recipe.flip else torch.ones(n)
    turn, slant = torch.deg2rad(
        (2 * drawn[:, 4:] - 1) * torch.tensor([recipe.rotate, recipe.shear])
    ).unbind(1)
    theta = torch.zeros(n, 2, 3)
    # A turn after a slant, both of the mirrored part.
    theta[:, 0, 0], theta[:, 0, 1] = turn.cos(), turn.cos() * slant.tan() - turn.sin()
    theta[:, 1, 0], theta[:, 1, 1] = turn.sin(), turn.sin() * slant.tan() + turn.cos()
    theta *= side[:, None, None]
    theta[:, :, 0] *= mirror[:, None]
    theta[:, :, 2] = (2 * drawn[:, 2:4] - 1) * room[:, None]
    grid = functional.affine_grid(
        to_device(theta, images.device), [n, 3, size, size], align_corners=False
    )
    if recipe.elastic:
        grid = grid + to_device(_bends(size, recipe.elastic, draws), grid.device)
    warped = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return warped.contiguous(memory_format=torch.channels_last)


def _bends(size: int, amount: float, draws: Draws) -> Tensor:
    """How far each point moves, in half sides, `(B, size, size, 2)`.

    Random moves of a coarse grid, smooth in between (Ronneberger, Fischer and Brox, U-Net, 2015).
    """
    moves = draws.normal(2, _KNOTS, _KNOTS) * 2 * amount
    smooth = functional.interpolate(moves, size, mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def _move(pixels: Tensor, recipe: Recipe, draws: Draws, mirrored: Tensor | None) -> Tensor:
    """Shift by whole pixels, what comes in at the rim being mirrored, and flip."""
    if not (recipe.flip or recipe.shift):
        return pixels
    n, size = pixels.shape[:2]
    drawn = draws.uniform(3)
    most = round(recipe.shift * size)
    offsets = (drawn[:, :2] * (2 * most + 1)).long() - most
    places = (torch.arange(size) + offsets[:, :, None]).abs()  # (B, 2, size)
    places = torch.where(places < size, places, 2 * (size - 1) - places)
    if recipe.flip:
        mirrored = drawn[:, 2] < 0.5 if mirrored is None else mirrored
        places[:, 1] = torch.where(mirrored[:, None], places[:, 1].flip(1), places[:, 1])
    rows, columns = to_device(places, pixels.device).unbind(1)
    photos = torch.arange(n, device=pixels.device)[:, None, None]
    return pixels[photos, rows[:, :, None], columns[:, None, :]]


def _change_at_random(images: Tensor, magnitude: int) -> Tensor:
    """Two changes for each photo out of fourteen (Cubuk et al., RandAugment, 2020).

    One photo after the other, by torch's own generator.
    """
    from torchvision.transforms.v2 import RandAugment  # seconds, for what few trainings ask for

    change = RandAugment(num_ops=2, magnitude=magnitude)
    planes = images.round().clamp(0, 255).to(torch.uint8)
    changed = torch.stack([change(photo) for photo in planes])
    return changed.float().contiguous(memory_format=torch.channels_last)


def _recolour(images: Tensor, amount: float, draws: Draws) -> Tensor:
    """Scale brightness, then contrast about the photo's mean grey, then saturation about grey."""
    factors = 1 + amount * (2 * draws.factors(3) - 1)
    brightness, contrast, saturation = to_device(factors, images.device)
    images = images * brightness
    mean = luma(images).mean((2, 3), keepdim=True)
    images = (images - mean) * contrast + mean
    grey = luma(images)
    recoloured: Tensor = (images - grey) * saturation + grey
    return recoloured.clamp(0, 255)


def erase(
    images: Tensor, probability: float, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """Blot out a rectangle of some of the images `(B, C, H, W)` with zeros; as of `augment`."""
    draws = Draws(generator, len(images), share)
    height, width = images.shape[2:]
    drawn = draws.uniform(5)
    area = _ERASED[0] + (_ERASED[1] - _ERASED[0]) * drawn[:, 0]
    aspect = torch.exp((2 * drawn[:, 1] - 1) * 1.2)  # 0.3 to 3.3
    inside = []
    for length, side, start in (
        (height, (area * aspect).sqrt(), drawn[:, 2]),
        (width, (area / aspect).sqrt(), drawn[:, 3]),
    ):
        side = side.clamp_max(1.0)
        place = (torch.arange(length) + 0.5) / length - (start * (1 - side))[:, None]
        inside.append((place >= 0) & (place < side[:, None]))  # (B, length)
    chosen = (drawn[:, 4] < probability)[:, None, None]
    blot = (inside[0][:, :, None] & inside[1][:, None, :] & chosen)[:, None]
    return images.masked_fill(to_device(blot, images.device), 0.0)


def mixing(
    mixup: float, cutmix: float, classes: int
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """What mixes each photo of a batch with another and their targets `(B,)` to shares `(B, K)`.

    Args:
        mixup, cutmix: alpha of the beta distribution of the shares (Zhang et al., 2018; Yun et al.,
            2019); 0 for without. With both, every batch draws one of them.
    """
    if not (mixup or cutmix):
        return None
    from torchvision.transforms import v2  # seconds, for what few trainings ask for

    kinds = [(v2.MixUp, mixup), (v2.CutMix, cutmix)]
    mixes = [kind(alpha=alpha, num_classes=classes) for kind, alpha in kinds if alpha]
    mix: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = v2.RandomChoice(mixes)
    return mix
